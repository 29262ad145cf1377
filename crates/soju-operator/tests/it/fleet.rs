//! Thousands of bouncers that stand still.

use operator_testkit::fleet;

use crate::world::Soju;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fleet_at_rest_costs_no_write_and_an_operator_started_anew_sends_none() {
    fleet::costs_nothing_at_rest::<Soju>().await;
}
