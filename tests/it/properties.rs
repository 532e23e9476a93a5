//! Properties of the pure core for any files and any account, through the library's public interface.

mod changes;
mod document;
mod planned;
mod world;
