//! What is left of a resource whose data is secured before it goes.

use operator_testkit::snapshots;

use crate::world::Ergo;

#[tokio::test]
async fn a_volume_goes_when_its_snapshot_is_there_and_another_begins_from_it() {
    snapshots::a_volume_goes_when_its_snapshot_is_there_and_another_begins_from_it::<Ergo>().await;
}

#[tokio::test]
async fn a_database_goes_when_a_backup_is_there() {
    snapshots::a_database_goes_when_a_backup_is_there::<Ergo>().await;
}
