//! Data sets, reference answers and grading.
