//! What holds for any files and any account: the pure core, through the library's own interface.

mod document;
mod planned;
mod world;
