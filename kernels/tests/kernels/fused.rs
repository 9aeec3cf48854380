//! The fused operator against the definition in f64, finite differences and the composition of plain operators, on
//! every backend that this build can test: the CPU, and the `wgpu` device (Mesa's software Vulkan will do).

mod cases;
mod linear;
mod own;

/// Makes every promise a test on every backend.
macro_rules! promises {
    ($($subject:ident::$promise:ident,)*) => {
        #[cfg(feature = "flex")]
        mod flex {
            $(#[test]
            fn $promise() {
                super::$subject::$promise(&burn::tensor::Device::flex());
            })*
        }

        #[cfg(feature = "wgpu")]
        mod wgpu {
            $(#[test]
            fn $promise() {
                super::$subject::$promise(&burn::tensor::Device::wgpu(burn::tensor::DeviceKind::DefaultDevice));
            })*
        }
    };
}

promises! {
    cases::every_case_equals_the_definition,
    cases::the_gradient_equals_finite_differences,
    cases::equal_logits_have_exactly_no_divergence_and_no_gradient,
    cases::an_offset_of_ten_thousand_costs_no_precision,
    cases::extreme_logits_stay_stable,
    cases::a_token_that_both_exclude_counts_nothing,
    cases::a_token_that_one_side_excludes_gives_infinity_and_no_gradient_that_is_no_number,
    cases::an_excluded_token_without_probability_counts_nothing_wherever_it_is,
    cases::what_is_no_distribution_is_reported_and_has_no_gradient,
    cases::agreement_is_that_of_the_first_largest_logits,
    cases::no_rows_and_rows_without_weight_give_no_loss,
    cases::more_rows_than_a_device_launches_along_one_axis_are_all_computed,
    cases::a_tensor_that_is_still_held_does_not_change,
    cases::stacked_and_strided_logits_give_the_same,
    cases::the_plain_operators_agree,
    cases::autodiff_gets_the_gradient_times_what_comes_from_above,
    cases::divergence_and_gradient_hold_for_any_logits,
    cases::any_token_may_be_excluded_without_a_gradient_that_is_no_number,
    linear::hidden_states_give_the_loss_and_gradient_of_autodiff_whatever_the_chunk,
    linear::the_gradient_passes_at_the_clip_and_stops_above_it,
    linear::no_active_row_gives_no_loss,
    own::one_that_someone_writes_has_its_value_and_gradient_in_f64,
    own::a_kl_that_someone_writes_is_the_fused_one_within_rounding,
    own::fused_rows_alone_are_the_fused_operators_numbers_to_the_bit,
    own::rows_of_several_divergences_add_up_in_the_order_given,
    own::the_gradient_of_any_divergence_passes_at_the_clip_and_stops_above_it,
    own::a_row_of_infinite_divergence_is_reported_and_has_no_gradient,
}
