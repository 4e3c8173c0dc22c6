use crate::{reads, writes};
use palanquin_contract::interpose::Between;
use std::sync::Arc;

/// What it is called, how it is made, and the tests that must fail by it.
type Sabotage = (&'static str, fn() -> Arc<dyn Between>, &'static [&'static str]);

macro_rules! table {
    ($($module:ident::$name:ident fails $($test:literal)+)*) => {
        /// Every sabotage.
        pub(crate) const SABOTAGES: &[Sabotage] =
            &[$((stringify!($name), || Arc::new($module::$name), &[$($test),+])),*];
    };
}

table! {
    reads::ForgetsTheFilter fails
        "filters::every_operator_answers_as_the_dialect_says"
        "filters::documents_are_searched_by_their_exact_text"
        "filters::a_generated_filter_answers_like_the_reference"
    reads::FiltersAfterItRanks fails "filters::a_query_filters_before_it_ranks"
    reads::RanksBackwards fails
        "query::ranking_is_exact_by_each_declared_metric"
        "query::lower_is_closer_whatever_the_metric"
    reads::ReportsSimilarities fails
        "query::ranking_is_exact_by_each_declared_metric"
        "query::lower_is_closer_whatever_the_metric"
    reads::FindsRowsWithoutVectors fails "query::rows_without_a_vector_are_never_hits"
    reads::AnswersNothingWithNothing fails "shapes::an_empty_result_has_the_shape_of_the_query"
    reads::SortsWhatWasNamed fails "round_trip::rows_are_got_in_the_order_their_ids_were_named"
    reads::GivesMoreThanWasIncluded fails "shapes::a_get_carries_what_was_included_and_nothing_else"
    reads::CountsWhatWasDeleted fails "round_trip::deleted_rows_are_in_no_answer"
    reads::EstimatesByCounting fails
        "capability::an_estimate_that_is_advertised_is_near_and_cheaper_than_counting"
    reads::ReadsBeyondTheRange fails "scan::a_range_is_open_below_and_closed_above"
    reads::LeavesOutWhatPasses fails
        "filters::a_scan_for_what_passes_leaves_out_no_such_row"
        "filters::every_operator_answers_as_the_dialect_says"
    reads::MakesItsOwnBatches fails "scan::no_batch_is_larger_than_was_asked_for"
    reads::CutsWithGaps fails "scan::partitions_cover_every_id_there_can_be_once"
    reads::ForgetsTheLastId fails "scan::a_range_is_open_below_and_closed_above"
    reads::FeedsNoDeletes fails
        "feed::each_change_comes_once_as_the_row_is_now"
        "feed::a_random_history_followed_equals_the_store_at_every_checkpoint"
    reads::TakesAnyCursor fails "feed::a_cursor_of_no_place_in_this_feed_has_expired"
    reads::FeedsEveryChangeTwice fails "feed::each_change_comes_once_as_the_row_is_now"
    reads::HasNoHead fails "capability::without_a_feed_nothing_can_be_followed"
    reads::EmbedsInSecret fails "server_embedder::the_token_and_the_identity_go_together"
    reads::EndsScansEarly fails
        "batches::ten_thousand_rows_go_in_at_once_by_every_operation"
        "scan::rows_that_do_not_change_are_each_seen_once_while_others_do"
    writes::MakesFloatsWhole fails "values::metadata_of_every_type_comes_back_as_it_was"
    writes::DropsNul fails "values::documents_of_every_kind_come_back_as_they_were"
    writes::TakesNoneForEmpty fails "values::documents_of_every_kind_come_back_as_they_were"
    writes::NormalisesVectors fails "values::vectors_come_back_bit_for_bit"
    writes::KeepsTheFirstOfTwins fails "round_trip::of_an_id_given_twice_the_last_row_counts"
    writes::AddsOverWhatIsThere fails
        "round_trip::adding_what_is_there_is_refused_and_writes_nothing"
        "identity::a_write_that_failed_records_nothing"
    writes::UpdatesFieldByField fails "update::no_reader_sees_half_of_an_update"
    writes::UpdatesByReadingAndWriting fails "update::updates_of_different_fields_do_not_undo_each_other"
    writes::MakesRowsByUpdating fails "round_trip::an_update_of_absent_rows_makes_none"
    writes::ForgetsPatches fails
        "patches::a_patch_replaces_the_fields_it_names_and_no_others"
        "patches::deletes_upserts_and_patches_of_one_batch_are_all_applied"
    writes::MergesPatchedMetadata fails "patches::a_patch_replaces_the_fields_it_names_and_no_others"
    writes::HidesWhatIsMissing fails "patches::a_patch_of_an_absent_row_makes_none_and_says_so"
    writes::MakesRowsOfPatches fails "patches::a_patch_of_an_absent_row_makes_none_and_says_so"
    writes::PatchesByReadingAndWriting fails "patches::patches_of_different_fields_do_not_undo_each_other"
    writes::UpsertsBeforeItDeletes fails "round_trip::a_batch_deletes_before_it_upserts"
    writes::DeletesByIdsAlone fails "filters::a_delete_removes_what_passes_and_nothing_else"
    writes::WritesIdsPlainly fails "isolation::palaces_whose_names_look_alike_are_apart"
    writes::WritesNamespacesPlainly fails "isolation::namespaces_are_apart_or_refused"
    writes::DropsTheNamespace fails "isolation::namespaces_are_apart_or_refused"
    writes::WritesCollectionNamesPlainly fails "isolation::collections_whose_names_look_alike_are_apart"
    writes::MakesWhatIsNotThere fails
        "lifecycle::opening_what_is_not_there_is_refused_and_makes_nothing"
        "lifecycle::closing_a_palace_that_was_never_opened_is_fine"
    writes::MakesSomethingBeforeItRefuses fails
        "lifecycle::opening_what_is_not_there_is_refused_and_makes_nothing"
    writes::WritesDownWhoRead fails "lifecycle::what_was_opened_for_reading_writes_nothing"
    writes::MakesTheMissingCollection fails
        "lifecycle::a_collection_that_is_not_there_is_told_from_a_palace_that_is_not"
    writes::OpensAnyIncarnation fails
        "lifecycle::making_a_collection_again_opens_it_unless_it_is_another_one"
    writes::ForgetsTheIdentity fails
        "identity::an_unknown_model_is_recorded_by_the_next_write_and_by_no_read"
        "identity::a_forced_swap_is_recorded_logged_and_seen_by_others"
        "identity::a_model_can_be_set_by_hand"
        "server_embedder::its_own_model_is_recorded_on_the_first_write"
    writes::StoresNoIdentity fails
        "identity::the_identity_is_stored_with_a_new_collection"
        "server_embedder::every_pair_of_models_that_disagrees_is_refused"
    writes::KeepsNoLog fails
        "identity::a_forced_swap_is_recorded_logged_and_seen_by_others"
        "identity::a_model_can_be_set_by_hand"
    writes::SaysItRanWhileAnotherDid fails "maintenance::a_second_run_of_a_kind_is_told_that_one_is_under_way"
    writes::SaysItRanAndDidNothing fails
        "maintenance::each_kind_runs_where_there_is_work_and_shows_it"
        "maintenance::a_second_run_of_a_kind_is_told_that_one_is_under_way"
    writes::LosesARowInMaintenance fails
        "maintenance::each_kind_leaves_the_rows_as_they_are"
        "maintenance::a_kind_runs_beside_readers_and_writers"
    writes::RunsAnyKind fails "capability::a_maintenance_kind_that_is_not_advertised_is_refused_by_name"
}
