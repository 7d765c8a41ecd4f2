mod arguments;
mod output;
mod ranges;
