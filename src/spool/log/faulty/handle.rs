//! An open file of the disk.

use std::io;
use std::sync::Arc;

use super::{Call, Fault, Faulty, Luck, error};
use crate::spool::log::storage::LogFile;

#[derive(Debug)]
pub(super) struct Handle {
    pub(super) disk: Faulty,
    pub(super) file: usize,
    /// Holds the file's space.
    pub(super) _open: Arc<()>,
}

impl LogFile for Handle {
    fn len(&self) -> io::Result<u64> {
        // Of the inode, in memory: it fails with the power alone.
        let disk = self.disk.disk();
        if disk.off { Err(error(&Fault::Power)) } else { Ok(disk.files[self.file].seen().len() as u64) }
    }

    fn read_at(&self, into: &mut [u8], at: u64) -> io::Result<usize> {
        let mut disk = self.disk.asked(Call::Read);
        let most = match disk.called(Call::Read) {
            None => into.len(),
            Some(Fault::Short(most)) => into.len().min(most.max(1)),
            Some(fault) => return Err(error(&fault)),
        };
        let rest = disk.files[self.file].seen().get(usize::try_from(at).unwrap()..).unwrap_or_default();
        let read = rest.len().min(most);
        into[..read].copy_from_slice(&rest[..read]);
        Ok(read)
    }

    fn write_at(&self, from: &[u8], at: u64) -> io::Result<usize> {
        let mut disk = self.disk.asked(Call::Write);
        let most = match disk.called(Call::Write) {
            None => from.len(),
            Some(Fault::Short(most)) => from.len().min(most.max(1)),
            Some(fault) => return Err(error(&fault)),
        };
        let free = disk.free();
        let is_segment = |(name, file): (&String, &usize)| *file == self.file && name.ends_with(".seg");
        if disk.files[self.file].lost() && disk.entries.iter().any(is_segment) {
            disk.trespasses += 1;
        }
        let written = disk.files[self.file].write(&from[..most], usize::try_from(at).unwrap(), free);
        if written == 0 && most > 0 { Err(error(&Fault::Full)) } else { Ok(written) }
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut disk = self.disk.asked(Call::SetLen);
        disk.check(Call::SetLen)?;
        disk.files[self.file].set_len(usize::try_from(len).unwrap());
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut disk = self.disk.asked(Call::Sync);
        let fault = disk.called(Call::Sync);
        let body = &mut disk.files[self.file];
        match fault {
            None | Some(Fault::Short(_)) => {
                body.sync();
                return Ok(());
            }
            Some(Fault::Power) => {}
            Some(Fault::Partly(ref luck)) => body.lose(&mut Luck::of(luck)),
            Some(_) => body.lose(&mut Luck::of(&[])),
        }
        Err(fault.as_ref().map_or_else(|| io::ErrorKind::Other.into(), error))
    }
}
