/// Names every test with the § it is of, for whatever macro of this crate is named first.
#[doc(hidden)]
#[macro_export]
macro_rules! __each_test {
    ($then:ident $with:tt) => {
        $crate::$then! {
            $with
            round_trip {
                added_rows_come_back_by_every_reading_operation "§1"
                what_was_written_is_there_for_another_process "§1, §2.4"
                an_upsert_replaces_rows_whole "§1"
                adding_what_is_there_is_refused_and_writes_nothing "§1"
                of_an_id_given_twice_the_last_row_counts "Collection::apply"
                replaying_a_batch_of_upserts_and_deletes_changes_nothing "Collection::apply, §6"
                a_batch_deletes_before_it_upserts "ChangeBatch"
                appended_rows_are_there "WriteMode::Append"
                an_empty_batch_is_no_error_and_no_change "§1"
                deleted_rows_are_in_no_answer "§1, §7.1"
                a_delete_that_selects_nothing_in_particular_is_refused "§1"
                rows_are_got_in_the_order_their_ids_were_named "§1"
                an_update_changes_the_given_fields_and_no_others "§1"
                an_update_of_absent_rows_makes_none "§1"
                an_update_of_an_id_given_twice_takes_the_last_values "§1"
                the_estimate_is_the_count_unless_it_is_advertised_as_one "§1"
            }
            shapes {
                an_empty_result_has_the_shape_of_the_query "§1"
                a_query_of_no_vectors_or_for_no_results_is_empty "§1"
                a_query_carries_what_was_included_and_nothing_else "§1"
                a_get_carries_what_was_included_and_nothing_else "§1"
                limit_and_offset_tile_a_get_without_gap_or_overlap "§1"
                a_get_of_an_empty_collection_is_empty "§1"
                lists_of_different_lengths_and_unknown_fields_are_refused "§1"
            }
            filters {
                every_operator_answers_as_the_dialect_says "§1.4"
                documents_are_searched_by_their_exact_text "§1.4"
                a_generated_filter_answers_like_the_reference "§1.4"
                a_query_filters_before_it_ranks "§1.4"
                a_delete_removes_what_passes_and_nothing_else "§1.4"
                an_operator_that_is_not_of_the_dialect_is_refused_by_name "§1.4"
                a_malformed_filter_is_refused_before_anything_runs "§1.4"
                a_filter_of_an_operator_that_is_not_advertised_is_refused "§1.4, §2"
            }
            query {
                ranking_is_exact_by_each_declared_metric "§1 +"
                lower_is_closer_whatever_the_metric "§1"
                equally_distant_rows_are_all_hits "§1"
                rows_without_a_vector_are_never_hits "§1"
                vectors_of_zeros_and_of_far_magnitudes_rank_without_nonsense "§1"
                a_query_of_another_width_or_without_numbers_is_refused "§1.5"
            }
        }
    };
}
