//! Which lines of two texts differ.

/// More differing lines than that are only counted.
const MOST: usize = 60;
/// Beyond so many pairs of lines the texts are not compared line by line: nobody writes such a task.
const PAIRS: usize = 4_000_000;

/// The lines that are in one text alone, in order: `- ` before those of `old`, `+ ` before those of `new`. Characters that would do something to a
/// terminal are replaced.
pub(super) fn lines(old: &str, new: &str) -> Vec<String> {
    let (old, new): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
    let same_start = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let (old, new) = (&old[same_start..], &new[same_start..]);
    let same_end = old.iter().rev().zip(new.iter().rev()).take_while(|(a, b)| a == b).count();
    let (old, new) = (&old[..old.len() - same_end], &new[..new.len() - same_end]);
    let mut out = Vec::new();
    if old.len().saturating_mul(new.len()) > PAIRS {
        out.push(format!("{} lines by {} others", old.len(), new.len()));
        return out;
    }
    // common[i][j]: how many lines old[i..] and new[j..] have in common, in order.
    let mut common = vec![vec![0_u32; new.len() + 1]; old.len() + 1];
    for (i, a) in old.iter().enumerate().rev() {
        for (j, b) in new.iter().enumerate().rev() {
            common[i][j] = if a == b { common[i + 1][j + 1] + 1 } else { common[i + 1][j].max(common[i][j + 1]) };
        }
    }
    let (mut i, mut j) = (0, 0);
    while i < old.len() || j < new.len() {
        if i < old.len() && j < new.len() && old[i] == new[j] {
            (i, j) = (i + 1, j + 1);
        } else if i < old.len() && (j == new.len() || common[i + 1][j] >= common[i][j + 1]) {
            out.push(format!("- {}", plain(old[i])));
            i += 1;
        } else {
            out.push(format!("+ {}", plain(new[j])));
            j += 1;
        }
    }
    if out.is_empty() {
        out.push("only the ends of lines differ".to_owned());
    }
    let more = out.len().saturating_sub(MOST);
    if more > 0 {
        out.truncate(MOST);
        out.push(format!("… and {more} more lines"));
    }
    out
}

fn plain(line: &str) -> String {
    line.chars().map(|c| if c.is_control() && c != '\t' { '\u{fffd}' } else { c }).collect()
}
