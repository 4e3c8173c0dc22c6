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
            patches {
                a_patch_replaces_the_fields_it_names_and_no_others "Collection::apply"
                a_patch_of_an_absent_row_makes_none_and_says_so "Collection::apply"
                deletes_upserts_and_patches_of_one_batch_are_all_applied "ChangeBatch"
                a_patch_of_another_width_is_refused "Collection::apply, §1.5"
                patches_of_different_fields_do_not_undo_each_other "Collection::apply"
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
                a_scan_for_what_passes_leaves_out_no_such_row "§1.4"
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
            values {
                metadata_of_every_type_comes_back_as_it_was "§1, §8"
                documents_of_every_kind_come_back_as_they_were "§1, §7.1"
                ids_of_every_kind_name_their_own_rows "§1, §7.1"
                vectors_come_back_bit_for_bit "§1.5"
                a_vector_that_is_no_number_is_refused_from_a_caller_and_not_altered_in_a_copy "§1.5, Collection::apply"
                numbers_and_texts_that_json_cannot_express_are_refused_where_they_enter "§1"
                no_metadata_and_the_mark_of_a_repaired_one_are_the_same "rows::canonical_metadata"
                every_width_the_store_can_hold_works "§1.5"
                vectors_of_another_width_are_refused_and_write_nothing "§1.5"
            }
            isolation {
                palaces_whose_names_look_alike_are_apart "§2.2 +"
                collections_whose_names_look_alike_are_apart "§2.2 +"
                a_palace_and_its_collection_are_not_told_by_their_names_run_together "§2.2 +"
                namespaces_are_apart_or_refused "§2.2 +, supports_namespace_isolation"
                a_palace_without_a_namespace_is_found_again_by_its_id "§2.2"
            }
            scan {
                rows_come_in_the_byte_order_of_their_ids "ScanOrder::ById"
                a_range_is_open_below_and_closed_above "KeyRange"
                no_batch_is_larger_than_was_asked_for "ScanRequest"
                partitions_cover_every_id_there_can_be_once "Collection::cut"
                a_scan_of_nothing_ends_at_once "Collection::scan"
                rows_that_do_not_change_are_each_seen_once_while_others_do "Collection::scan"
            }
            lifecycle {
                making_a_backend_does_no_io "§2.6"
                closing_a_palace_that_was_never_opened_is_fine "§2.6"
                opening_what_is_not_there_is_refused_and_makes_nothing "§2.4"
                a_collection_that_is_not_there_is_told_from_a_palace_that_is_not "§2.4 +"
                a_palace_that_holds_nothing_but_its_record_is_found_again "§8.3"
                making_a_palace_that_is_there_opens_it "§2.4"
                making_a_collection_again_opens_it_unless_it_is_another_one "§2.4, Palace::create_collection"
                what_is_told_of_a_collection_is_true "CollectionInfo"
                a_directory_that_was_made_is_private "§2.4"
                a_reference_without_the_directory_it_needs_is_refused "§2.2"
                what_was_opened_for_reading_writes_nothing "OpenMode::Read"
                different_palaces_can_be_opened_at_once "§2.5"
                the_same_palace_can_be_made_and_opened_at_once "§2.5, Backend::open"
                a_backend_of_another_major_version_is_refused "§9"
            }
            closed {
                a_closed_handle_answers_so_to_every_call_and_others_go_on "§2.6"
                closing_a_palace_closes_every_handle_on_it_and_no_other "§2.6"
                a_stream_that_was_begun_says_so_too "§2.6"
            }
            batches {
                ten_thousand_rows_go_in_at_once_by_every_operation "§7.1"
                the_largest_batch_goes_in_and_out_again "§7.1"
            }
            capability {
                what_a_backend_says_of_itself_fits_together "§2"
                vectors_are_given_out_or_the_wish_is_refused "§2, supports_embeddings_out"
                without_a_feed_nothing_can_be_followed "§6, supports_change_feed"
                a_maintenance_kind_that_is_not_advertised_is_refused_by_name "§7.3"
                an_estimate_that_is_advertised_is_near_and_cheaper_than_counting "§1, supports_estimated_count"
                writers_in_conflict_leave_whole_rows_and_no_row_twice "§6, supports_sync"
            }
            update {
                no_reader_sees_half_of_an_update "§1, supports_update"
                updates_of_different_fields_do_not_undo_each_other "§1, supports_update"
            }
            identity {
                the_identity_is_stored_with_a_new_collection "§1.5"
                the_same_model_opens_and_another_is_refused "§1.5"
                an_alias_that_is_stored_is_the_model_it_stands_for "§1.5"
                a_width_that_differs_is_refused_before_the_name_is_looked_at "§1.5"
                a_collection_is_not_made_for_another_model_than_the_embedder "§1.5"
                a_nameless_embedder_is_unknown_and_never_recorded "§1.5 +"
                an_unknown_model_is_recorded_by_the_next_write_and_by_no_read "§1.5"
                a_write_that_failed_records_nothing "§1.5"
                what_another_recorded_meanwhile_is_not_replaced "§1.5"
                a_reindex_records_an_unknown_model_too "§1.5"
                a_forced_swap_is_recorded_logged_and_seen_by_others "§1.5, §8"
                a_swap_needs_a_model_and_a_palace_that_can_be_written "OpenOptions"
                a_model_can_be_set_by_hand "§1.5, §8"
            }
            server_embedder {
                every_pair_of_models_that_disagrees_is_refused "§1.5"
                every_pair_of_widths_that_disagrees_is_refused_before_the_names "§1.5"
                its_own_model_is_recorded_on_the_first_write "§1.5"
                a_server_that_does_not_say_its_model_is_refused "§1.5, server_embedder"
                the_token_and_the_identity_go_together "§1.5, server_embedder"
            }
            maintenance {
                the_state_can_be_asked_at_any_time_and_changes_nothing "§7.3"
                each_kind_leaves_the_rows_as_they_are "§7.3"
                each_kind_runs_where_there_is_work_and_shows_it "§7.3"
                a_kind_with_nothing_to_do_says_so_or_runs "§7.3"
                a_second_run_of_a_kind_is_told_that_one_is_under_way "§7.3 +"
                a_run_that_is_dropped_leaves_the_palace_whole_and_free "Palace::run_maintenance"
                a_kind_runs_beside_readers_and_writers "§7.3"
            }
            feed {
                each_change_comes_once_as_the_row_is_now "§6"
                where_nothing_changed_nothing_comes "§6"
                a_cursor_taken_before_the_first_row_leads_to_all_of_them "§6"
                following_from_an_older_cursor_is_right_too "§6"
                a_cursor_of_no_place_in_this_feed_has_expired "§6"
                a_cursor_survives_maintenance_or_has_expired_by_name "§6, §7.3"
                a_random_history_followed_equals_the_store_at_every_checkpoint "§6"
            }
        }
    };
}
