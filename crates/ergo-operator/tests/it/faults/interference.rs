//! Others write where the operator writes, or want what it wants.

use operator_testkit::interference;

use crate::world::Ergo;

#[tokio::test]
async fn what_another_manager_takes_is_taken_back_and_what_it_adds_is_left() {
    interference::what_another_manager_takes_is_taken_back_and_what_it_adds_is_left::<Ergo>().await;
}

#[tokio::test]
async fn what_others_edit_or_delete_is_put_back() {
    interference::what_others_edit_or_delete_is_put_back::<Ergo>().await;
}

#[tokio::test]
async fn what_is_deleted_in_the_foreground_goes_after_its_children() {
    interference::what_is_deleted_in_the_foreground_goes_after_its_children::<Ergo>().await;
}

#[tokio::test]
async fn a_lost_watch_misses_nothing() {
    interference::a_lost_watch_misses_nothing::<Ergo>().await;
}

#[tokio::test]
async fn of_two_that_name_one_database_only_its_owner_has_it() {
    interference::of_two_that_name_one_database_only_its_owner_has_it::<Ergo>().await;
}

#[tokio::test]
async fn of_two_that_name_one_host_only_its_holder_has_it() {
    interference::of_two_that_name_one_host_only_its_holder_has_it::<Ergo>().await;
}

#[tokio::test]
async fn in_a_namespace_that_goes_nothing_is_made_and_nothing_stays() {
    interference::in_a_namespace_that_goes_nothing_is_made_and_nothing_stays::<Ergo>().await;
}
