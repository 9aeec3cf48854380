//! The recording's file: what is written is read, and what is strange is told.
#![allow(clippy::unwrap_used)]

use base64::Engine;
use image::{Rgb, RgbImage};
use vigos_core::jsonl::JsonLines;
use vigos_recording::{Column, Recording, Supervision, Tokens, Top, VERSION, Who, read, thumbnail};

fn recording() -> Recording {
    let top = Top { ids: vec![7, 3], logprobs: Column(vec![-0.5, -1.25]) };
    Recording {
        version: VERSION,
        step: 10,
        row: 2,
        id: "a".into(),
        length: 2,
        temperature: 1.0,
        tokens: Tokens {
            ids: vec![7, 9],
            pieces: vec!["a".into(), "\u{202e}⟨E2⟩".into()],
            spans: "d-".into(),
            logprob: Column(vec![-0.5, -2.0]),
            entropy: Column(vec![1.5, 0.25]),
            rank: vec![1, 12],
            top: vec![top.clone(), top.clone()],
        },
        supervised: vec![Supervision {
            who: Who { teacher: "perception".into(), weight: 1.0, ..Who::default() },
            positions: vec![0],
            kl: Column(vec![0.125]),
            clipped: "1".into(),
            logprob: Column(vec![-0.75]),
            entropy: Column(vec![0.5]),
            rank: vec![2],
            top: vec![top],
        }],
        ..Recording::default()
    }
}

#[test]
fn what_is_written_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("step-000010.jsonl");
    JsonLines::append(&path).unwrap().write(&recording()).unwrap();
    let lines: Vec<Recording> = read(&path).unwrap().map(Result::unwrap).collect();
    assert_eq!(lines, [recording()]);
}

#[test]
fn a_later_version_is_refused_by_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("later.jsonl");
    let later = Recording { version: VERSION + 1, ..recording() };
    JsonLines::append(&path).unwrap().write(&later).unwrap();
    let error = read(&path).unwrap().next().unwrap().unwrap_err().to_string();
    assert!(error.contains("later.jsonl:1") && error.contains("newer"), "{error}");
}

#[test]
fn numbers_that_are_none_are_null_and_come_back_as_none() {
    let text = serde_json::to_string(&Column(vec![f64::NAN, f64::INFINITY, 0.123_456_7])).unwrap();
    assert_eq!(text, "[null,null,0.12346]");
    let back: Column = serde_json::from_str(&text).unwrap();
    assert!(back.0[0].is_nan() && back.0[1].is_nan() && back.0[2] == 0.12346);
}

#[test]
fn a_thumbnail_keeps_the_shape_and_the_side_and_a_drawing_its_colours() {
    let drawing =
        RgbImage::from_fn(400, 100, |x, _| if x < 200 { Rgb([250, 0, 0]) } else { Rgb([0, 0, 250]) });
    let small = thumbnail(&drawing, 80).unwrap();
    assert_eq!((small.width, small.height, small.kind.as_str()), (80, 20, "image/png"));
    let file = base64::engine::general_purpose::STANDARD.decode(small.data).unwrap();
    let back = image::load_from_memory(&file).unwrap().to_rgb8();
    assert_eq!((back.get_pixel(3, 3).0, back.get_pixel(76, 16).0), ([250, 0, 0], [0, 0, 250]));
    assert_eq!(thumbnail(&drawing, 0), None);
    assert_eq!(thumbnail(&drawing, 1).map(|p| (p.width, p.height)), Some((1, 1)));
    // A small one is left as large as it is.
    assert_eq!(thumbnail(&drawing, 1000).map(|p| p.width), Some(400));
}
