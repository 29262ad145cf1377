//! The portal's promises, page by page, over services made of memory.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod browser;
mod dedicated;
mod export;
mod fake_dedicated;
mod fake_hosting;
mod fakes;
mod hosting;
mod live;
mod networks;
mod pages;
mod passwords;
mod rights;
mod site;
