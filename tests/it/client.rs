//! The client against a scripted server.

mod limits;
mod people;
mod reading;
mod searching;
mod writing;
