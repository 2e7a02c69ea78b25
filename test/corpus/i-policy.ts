// What we chose where JSONTestSuite leaves the choice to the reader, and where we differ from it on purpose. Each file is
// judged as the value of a member, `{"v":` + file + `}`.

import type { JsonErrorName } from "../oracle/strict-json.ts";

/**
 * The `i_` files: the error with which they are refused, or "accept". Numbers are not interpreted, so none is too large;
 * all that readers decode differently (surrogates, ill-formed UTF-8, marks, other encodings) is refused.
 */
export const I_POLICY: Readonly<Record<string, JsonErrorName | "accept">> = {
  "i_number_double_huge_neg_exp.json": "accept",
  "i_number_huge_exp.json": "accept",
  "i_number_neg_int_huge_exp.json": "accept",
  "i_number_pos_double_huge_exp.json": "accept",
  "i_number_real_neg_overflow.json": "accept",
  "i_number_real_pos_overflow.json": "accept",
  "i_number_real_underflow.json": "accept",
  "i_number_too_big_neg_int.json": "accept",
  "i_number_too_big_pos_int.json": "accept",
  "i_number_very_big_negative_int.json": "accept",
  "i_object_key_lone_2nd_surrogate.json": "json_surrogate",
  "i_string_1st_surrogate_but_2nd_missing.json": "json_surrogate",
  "i_string_1st_valid_surrogate_2nd_invalid.json": "json_surrogate",
  // Between tokens the first byte of a UTF-16 mark is only a byte that begins no value.
  "i_string_UTF-16LE_with_BOM.json": "json_syntax",
  "i_string_UTF-8_invalid_sequence.json": "json_utf8",
  "i_string_UTF8_surrogate_U+D800.json": "json_utf8",
  "i_string_incomplete_surrogate_and_escape_valid.json": "json_surrogate",
  "i_string_incomplete_surrogate_pair.json": "json_surrogate",
  "i_string_incomplete_surrogates_escape_valid.json": "json_surrogate",
  "i_string_invalid_lonely_surrogate.json": "json_surrogate",
  "i_string_invalid_surrogate.json": "json_surrogate",
  "i_string_invalid_utf-8.json": "json_utf8",
  "i_string_inverted_surrogates_U+1D11E.json": "json_surrogate",
  "i_string_iso_latin_1.json": "json_utf8",
  "i_string_lone_second_surrogate.json": "json_surrogate",
  "i_string_lone_utf8_continuation_byte.json": "json_utf8",
  "i_string_not_in_unicode_range.json": "json_utf8",
  "i_string_overlong_sequence_2_bytes.json": "json_utf8",
  "i_string_overlong_sequence_6_bytes.json": "json_utf8",
  "i_string_overlong_sequence_6_bytes_null.json": "json_utf8",
  "i_string_truncated-utf-8.json": "json_utf8",
  "i_string_utf16BE_no_BOM.json": "json_syntax",
  "i_string_utf16LE_no_BOM.json": "json_syntax",
  "i_structure_500_nested_arrays.json": "json_depth",
  // A mark is called one only before the root; before a value it is a character that begins none.
  "i_structure_UTF-8_BOM_empty_object.json": "json_syntax",
};

/** The `y_` files that we refuse all the same: RFC 8259 section 4 lets names repeat, and readers disagree on what then. */
export const Y_REFUSED: Readonly<Record<string, JsonErrorName>> = {
  "y_object_duplicated_key.json": "json_duplicate_member",
  "y_object_duplicated_key_and_value.json": "json_duplicate_member",
};

/** The `n_` files that are legal once they are a member's value: none. */
export const N_ACCEPTED: readonly string[] = [];
