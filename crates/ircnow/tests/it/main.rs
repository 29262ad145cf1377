//! The platform as its users meet it: the real binary, a real browser, real IRC clients, real networks.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, reason = "tests")]

mod access;
mod account;
mod backup;
mod certificate;
mod commands;
mod devices;
mod domain;
mod first_message;
mod garbage;
mod hosted_machine;
mod hosting;
mod installation;
mod irc_servers;
mod keycloak;
mod keycloak_ends;
mod kill;
mod local_network;
mod operators;
mod pages;
mod pastes;
mod person;
mod revoked;
mod rotate;
mod troubles;
