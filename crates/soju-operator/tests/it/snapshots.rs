//! What is left of a resource whose data is secured before it goes.

use operator_testkit::snapshots;

use crate::world::Soju;

#[tokio::test]
async fn a_volume_goes_when_its_snapshot_is_there_and_another_begins_from_it() {
    snapshots::a_volume_goes_when_its_snapshot_is_there_and_another_begins_from_it::<Soju>().await;
}

#[tokio::test]
async fn a_database_goes_when_a_backup_is_there() {
    snapshots::a_database_goes_when_a_backup_is_there::<Soju>().await;
}
