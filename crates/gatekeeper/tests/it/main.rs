//! Gatekeeper as its neighbours meet it: browsers and relying parties over HTTP, IRC doors and services through the trait.
//! Every scenario runs on SQLite and on PostgreSQL.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod admin;
mod deletion;
mod doors;
mod feed;
mod mail;
mod pages;
mod provider;
mod servers;
mod upstream;
mod world;

/// Runs scenarios on both engines.
#[macro_export]
macro_rules! on_both_engines {
    ($($name:ident),* $(,)?) => {
        mod on_sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name($crate::world::World::on_sqlite().await).await;
            })*
        }
        mod on_postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                if let Some(world) = $crate::world::World::on_postgres().await {
                    super::$name(world).await;
                }
            })*
        }
    };
}
