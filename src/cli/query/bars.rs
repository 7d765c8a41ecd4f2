//! Numbers as bars of one line.

/// From the least to the greatest.
const HEIGHTS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
const LENGTHS: [char; 7] = ['▏', '▎', '▍', '▌', '▋', '▊', '▉'];

/// A window that has nothing to show.
const GAP: char = ' ';
/// A window that is not whole: a bar of it would look like a drop.
const PARTIAL: char = '…';

/// One bar of a sparkline.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Bar {
    /// Nothing in this window.
    Gap,
    /// The window is not whole.
    Partial,
    /// A value.
    Of(f64),
}

impl Bar {
    fn value(self) -> Option<f64> {
        if let Self::Of(value) = self { Some(value) } else { None }
    }
}

/// The bars, one character each, of a scale that begins at 0 and ends at `top`; what is not above 0 is the lowest bar.
pub(super) fn spark(bars: &[Bar], top: f64) -> String {
    let height = |value: f64| {
        let step = if top > 0.0 { (value / top * 8.0).ceil() } else { 1.0 };
        // From 1 to 8, also of NaN.
        HEIGHTS.into_iter().zip(1..).find(|(_, n)| f64::from(*n) >= step).map_or('█', |(bar, _): (char, i32)| bar)
    };
    let line: String = bars
        .iter()
        .map(|bar| match bar {
            Bar::Gap => GAP,
            Bar::Partial => PARTIAL,
            Bar::Of(value) => height(*value),
        })
        .collect();
    line.trim_end().to_owned()
}

/// The greatest value.
pub(super) fn top<'b>(bars: impl IntoIterator<Item = &'b Bar>) -> f64 {
    bars.into_iter().filter_map(|bar| bar.value()).fold(0.0, f64::max)
}

/// As many bars as there is room for: neighbours become one, the greatest of them, so that no peak is lost.
pub(super) fn fold(bars: &[Bar], room: usize) -> Vec<Bar> {
    let together = bars.len().div_ceil(room.max(1)).max(1);
    let one = |bars: &[Bar]| {
        let greatest = bars.iter().filter_map(|bar| bar.value()).reduce(f64::max);
        greatest.map_or_else(|| if bars.contains(&Bar::Partial) { Bar::Partial } else { Bar::Gap }, Bar::Of)
    };
    bars.chunks(together).map(one).collect()
}

/// A share of a whole as a bar of at most `width` characters.
pub(super) fn share(share: f64, width: u8) -> String {
    let eighths = (share.clamp(0.0, 1.0) * f64::from(width) * 8.0).round();
    let full = (0..width).take_while(|n| f64::from((u32::from(*n) + 1) * 8) <= eighths).count();
    let rest = eighths % 8.0;
    let part = LENGTHS.into_iter().zip(1..).find(|(_, n): &(char, i32)| f64::from(*n) == rest).map(|(bar, _)| bar);
    std::iter::repeat_n('█', full).chain(part).collect()
}
