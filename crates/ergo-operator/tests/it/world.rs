//! The operator of networks, as tests start it.

use std::sync::Arc;

use entitlements::Table;
use ergo_operator::Installation;
use ergo_operator::controller::ErgoOperator;
use operator_testkit::{Subject, life};
use serde_json::{Value, json};
use service::config::Source;

pub struct Ergo;

/// A namespace with an operator of networks.
pub type World = operator_testkit::World<Ergo>;

impl Subject for Ergo {
    type Operator = ErgoOperator;

    const MANIFEST: &'static str = include_str!("../../../../deploy/operators/ergo-operator.yaml");
    const LIFE: &'static str = "world::an_operator_in_a_process_of_its_own";
    const WORKLOAD: &'static str = "StatefulSet";
    const IMAGE: &'static str = "ergo_image";

    fn least() -> Value {
        json!({ "networkName": "ExampleNet" })
    }

    fn stored() -> Value {
        json!({ "history": { "backend": "Postgres" } })
    }

    fn operator(source: &Source, claims: &str) -> ErgoOperator {
        let (_, installation) = Installation::load(source, Table::compiled_in().unwrap()).unwrap();
        ErgoOperator::new(Arc::new(installation), claims.to_owned())
    }
}

/// Run in a process of its own by the tests that kill it. One thread: where it stands still, all of it does.
#[tokio::test]
#[ignore = "the other half of the tests that kill the operator"]
async fn an_operator_in_a_process_of_its_own() {
    life::of_parent::<Ergo>().await;
}
