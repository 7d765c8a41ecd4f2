use super::*;
use crate::spool::log::storage::{read_full, write_full};

fn is<T: std::fmt::Debug>(result: io::Result<T>, kind: io::ErrorKind) {
    assert_eq!(result.unwrap_err().kind(), kind);
}

/// A disk with one durable file `f` of these bytes, and that file.
fn disk(bytes: &[u8]) -> (Faulty, Arc<dyn LogFile>) {
    let disk = Faulty::new();
    let file = disk.create("f").unwrap();
    write_full(&*file, bytes, 0).unwrap();
    file.sync().unwrap();
    disk.sync().unwrap();
    (disk, file)
}

/// What `f` may hold after a crash, by many kinds of luck.
fn outcomes(disk: &Faulty) -> Vec<Vec<u8>> {
    let mut found: Vec<Vec<u8>> = lucks().filter_map(|luck| disk.crash(&luck).contents("f")).collect();
    found.sort();
    found.dedup();
    found
}

fn lucks() -> impl Iterator<Item = Vec<u8>> {
    let mut random = fastrand::Rng::with_seed(1);
    let fixed = [vec![], vec![0], vec![255]].into_iter();
    fixed.chain((0..2000).map(move |n| (0..1 + n % 20).map(|_| random.u8(..)).collect()))
}

#[test]
fn what_was_synced_survives_every_crash_and_what_was_not_may() {
    let (disk, file) = disk(&[1; 700]);
    assert_eq!(outcomes(&disk), [vec![1; 700]]);
    write_full(&*file, &[2; 10], 600).unwrap();
    let new = [vec![1; 600], vec![2; 10], vec![1; 90]].concat();
    assert_eq!(disk.contents("f").unwrap(), new, "it is read at once");
    let found = outcomes(&disk);
    assert_eq!(disk.crash(&[]).contents("f").unwrap(), [1; 700]);
    assert_eq!(disk.crash(&[255]).contents("f").unwrap(), new);
    assert!(found.len() > 2, "a torn page");
    assert!(
        found.iter().all(|bytes| bytes.len() == 700 && bytes.iter().zip(&new).all(|(is, may)| *is == 1 || is == may))
    );
    file.sync().unwrap();
    assert_eq!(outcomes(&disk), [new]);
    let again = disk.crash(&[]).crash(&[]);
    assert_eq!(outcomes(&again), outcomes(&disk), "a crash leaves nothing open");
}

#[test]
fn unsynced_pages_come_in_any_order_and_a_missing_one_is_zeros() {
    let (disk, file) = disk(&[]);
    for page in 0..4_u8 {
        write_full(&*file, &[page + 1; PAGE], u64::from(page) * PAGE as u64).unwrap();
    }
    let found = outcomes(&disk);
    let pages = |mask: u8| -> Vec<u8> {
        (0..4).flat_map(|page| [if mask >> page & 1 == 1 { page + 1 } else { 0 }; PAGE]).collect()
    };
    for mask in 0..16 {
        assert!(found.contains(&pages(mask)), "{mask:04b}");
    }
    for len in 0..4 {
        assert!(found.contains(&pages(15)[..len * PAGE].to_vec()), "{len} pages");
    }
    // A page may be in any state that it went through.
    file.sync().unwrap();
    for value in [7, 8, 9] {
        write_full(&*file, &[value; PAGE], 0).unwrap();
    }
    let found = outcomes(&disk);
    for value in [1, 7, 8, 9] {
        assert!(found.iter().any(|bytes| bytes[..PAGE] == [value; PAGE]), "{value}");
    }
}

#[test]
fn a_cut_is_undone_by_a_crash_and_what_grows_again_is_zeros() {
    let (disk, file) = disk(&[1; 1000]);
    file.set_len(600).unwrap();
    write_full(&*file, &[2; 10], 700).unwrap();
    let new = [vec![1; 600], vec![0; 100], vec![2; 10]].concat();
    assert_eq!(disk.contents("f").unwrap(), new);
    let found = outcomes(&disk);
    assert!(found.contains(&vec![1; 1000]) && found.contains(&vec![1; 600]) && found.contains(&new), "{}", found.len());
    file.sync().unwrap();
    assert_eq!(outcomes(&disk), [new]);
}

#[test]
fn a_failed_sync_loses_in_silence_what_was_not_synced() {
    for fault in [Fault::Io, Fault::Full, Fault::Partly(vec![])] {
        let (disk, file) = disk(&[1; PAGE]);
        write_full(&*file, &[2; 2 * PAGE], 0).unwrap();
        disk.plan(Call::Sync, 0, 1, fault);
        file.sync().unwrap_err();
        assert_eq!(disk.contents("f").unwrap(), [2; 2 * PAGE], "reads see it");
        assert_eq!(outcomes(&disk), [vec![1; PAGE]]);
        file.sync().unwrap();
        let lost = [[1; PAGE], [0; PAGE]].concat();
        assert_eq!(outcomes(&disk), std::slice::from_ref(&lost), "the next one says that all is well");
        // A page that is written again comes to the disk as a whole.
        write_full(&*file, &[3], 0).unwrap();
        file.sync().unwrap();
        let page = [vec![3], vec![2; PAGE - 1], vec![0; PAGE]].concat();
        assert_eq!(outcomes(&disk), [page]);
    }
    let (disk, file) = disk(&[1; 2 * PAGE]);
    write_full(&*file, &[2; 2 * PAGE], 0).unwrap();
    disk.plan(Call::Sync, 0, 1, Fault::Partly(vec![255, 255, 255, 0]));
    file.sync().unwrap_err();
    assert_eq!(outcomes(&disk), [[[2; PAGE], [1; PAGE]].concat()], "one page came there, the other did not");
}

#[test]
fn the_folders_changes_are_durable_in_order_after_its_sync() {
    let (disk, file) = disk(&[1]);
    let new = disk.create("g").unwrap();
    write_full(&*new, &[2], 0).unwrap();
    new.sync().unwrap();
    disk.rename("g", "h").unwrap();
    disk.remove("f").unwrap();
    let mut states: Vec<Vec<String>> = lucks()
        .map(|luck| {
            let mut names = disk.crash(&luck).list().unwrap();
            names.sort();
            names
        })
        .collect();
    states.sort();
    states.dedup();
    assert_eq!(states, [vec!["f"], vec!["f", "g"], vec!["f", "h"], vec!["h"]]);
    assert_eq!(disk.crash(&[]).contents("f").unwrap(), [1], "a removed file comes back with what it held");
    assert_eq!(disk.crash(&[255]).contents("h").unwrap(), [2]);
    disk.plan(Call::SyncFolder, 0, 1, Fault::Io);
    disk.sync().unwrap_err();
    assert_eq!(disk.crash(&[]).list().unwrap(), ["f"]);
    disk.sync().unwrap();
    assert_eq!(disk.crash(&[]).list().unwrap(), ["h"]);
    assert_eq!(file.len().unwrap(), 1, "it is still open");
    // A rename over a file replaces it, and a crash gives the one or the other.
    drop(disk.create("k").unwrap());
    disk.sync().unwrap();
    disk.rename("k", "h").unwrap();
    assert_eq!(disk.crash(&[]).contents("h").unwrap(), [2]);
    assert_eq!(disk.crash(&[255]).contents("h").unwrap(), b"");
    is(disk.create("h"), io::ErrorKind::AlreadyExists);
    is(disk.open("f"), io::ErrorKind::NotFound);
    is(disk.remove("f"), io::ErrorKind::NotFound);
    is(disk.rename("f", "x"), io::ErrorKind::NotFound);
}

#[test]
fn a_full_disk_takes_what_fits_and_still_writes_over_what_is_there() {
    let (disk, file) = disk(&[1; PAGE]);
    disk.set_capacity(3 * PAGE as u64);
    let other = disk.create("g").unwrap();
    assert_eq!(other.write_at(&[2; 3 * PAGE], 0).unwrap(), 2 * PAGE, "a short write");
    is(other.write_at(&[2], 2 * PAGE as u64), io::ErrorKind::StorageFull);
    is(write_full(&*file, &[3; PAGE + 1], 0), io::ErrorKind::StorageFull);
    assert_eq!(disk.contents("f").unwrap(), [3; PAGE]);
    other.set_len(PAGE as u64 + 1).unwrap();
    is(file.write_at(&[3], PAGE as u64), io::ErrorKind::StorageFull);
    other.set_len(PAGE as u64).unwrap();
    assert_eq!(file.write_at(&[3], PAGE as u64).unwrap(), 1, "what is cut off is free");
    disk.remove("g").unwrap();
    is(file.write_at(&[3], 2 * PAGE as u64), io::ErrorKind::StorageFull);
    drop(other);
    assert_eq!(file.write_at(&[3], 2 * PAGE as u64).unwrap(), 1, "free when nobody has it open");
}

#[test]
fn faults_come_when_they_are_planned() {
    let (disk, file) = disk(&[1; 100]);
    disk.plan(Call::Write, 1, 2, Fault::Short(3));
    assert_eq!([(); 4].map(|()| file.write_at(&[2; 10], 0).unwrap()), [10, 3, 3, 10]);
    disk.plan(Call::Write, 0, 1, Fault::Full);
    is(file.write_at(&[4; 10], 0), io::ErrorKind::StorageFull);
    assert_eq!(disk.contents("f").unwrap()[..10], [2; 10]);
    disk.plan(Call::Read, 0, u64::MAX, Fault::Short(1));
    let mut into = [0; 5];
    assert_eq!(read_full(&*file, &mut into, 98).unwrap(), 2);
    disk.heal();
    assert_eq!(file.read_at(&mut into, 0).unwrap(), 5);
    for call in [Call::Open, Call::Create, Call::Rename, Call::Remove, Call::List, Call::Read, Call::SetLen] {
        disk.plan(call, 0, 1, Fault::Io);
        let before = disk.crash(&[255]).list().unwrap();
        match call {
            Call::Open => drop(disk.open("f").unwrap_err()),
            Call::Create => drop(disk.create("n").unwrap_err()),
            Call::Rename => drop(disk.rename("f", "n").unwrap_err()),
            Call::Remove => drop(disk.remove("f").unwrap_err()),
            Call::List => drop(disk.list().unwrap_err()),
            Call::Read => drop(file.read_at(&mut into, 0).unwrap_err()),
            _ => drop(file.set_len(1).unwrap_err()),
        }
        assert_eq!(disk.list().unwrap(), before, "{call:?}");
    }
    let calls = disk.calls();
    disk.plan(Call::Any, 1, 1, Fault::Power);
    file.sync().unwrap();
    file.sync().unwrap_err();
    disk.heal();
    assert!(file.sync().is_err() && file.len().is_err() && disk.list().is_err() && disk.open("f").is_err());
    assert_eq!(disk.calls(), calls + 5);
    assert_eq!(disk.crash(&[]).list().unwrap(), ["f"], "and the disk behind it runs again");
}
