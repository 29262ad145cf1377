//! The operator of bouncers, as tests start it.

use std::sync::Arc;

use operator_testkit::{Subject, life};
use serde_json::{Value, json};
use service::config::Source;
use soju_operator::Installation;
use soju_operator::controller::SojuOperator;

pub struct Soju;

/// A namespace with an operator of bouncers.
pub type World = operator_testkit::World<Soju>;

impl Subject for Soju {
    type Operator = SojuOperator;

    const MANIFEST: &'static str = include_str!("../../../../deploy/operators/soju-operator.yaml");
    const LIFE: &'static str = "world::an_operator_in_a_process_of_its_own";
    const WORKLOAD: &'static str = "Deployment";
    const IMAGE: &'static str = "soju_image";

    fn least() -> Value {
        json!({})
    }

    fn stored() -> Value {
        json!({ "database": { "engine": "Postgres" } })
    }

    fn operator(source: &Source, claims: &str) -> SojuOperator {
        let (_, installation) = Installation::load(source).unwrap();
        SojuOperator::new(Arc::new(installation), claims.to_owned())
    }
}

/// Run in a process of its own by the tests that kill it. One thread: where it stands still, all of it does.
#[tokio::test]
#[ignore = "the other half of the tests that kill the operator"]
async fn an_operator_in_a_process_of_its_own() {
    life::of_parent::<Soju>().await;
}
