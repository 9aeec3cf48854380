//! The language of the world under a tokenizer that is trained on it: every word is one token.

use crate::support;

use std::collections::BTreeSet;
use support::world;
use vigos_processor::Tokenizer;
use vigos_processor::tokenizer_training::{TrainedTokenizer, TrainingError};
use vigos_world::{Form, World};

const CONFIG: &str = include_str!("../../../../configs/models/shapes/config.json");

const TAGS: [&str; 5] = ["<description>", "</description>", "<think>", "</think>", "\\boxed{"];

/// Everything that is said in the first samples of the world.
fn texts(world: &World) -> Vec<String> {
    let warmups = (0..3000).map(|number| world.warmup(number));
    let mut texts: Vec<String> = warmups
        .flat_map(|warmup| [warmup.problem(), warmup.answer().to_owned(), warmup.completion()])
        .collect();
    texts.extend((0..3000).map(|number| world.train(number).problem()));
    texts.extend((0..3000).map(|number| world.train(number).answer().to_owned()));
    texts
}

fn fresh() -> (TrainedTokenizer, Tokenizer, Vec<String>) {
    let texts = texts(&world(&[]));
    let fresh = TrainedTokenizer::train(&texts, 4096).unwrap();
    let tokenizer = Tokenizer::from_bytes(fresh.tokenizer_json().as_bytes()).unwrap();
    (fresh, tokenizer, texts)
}

#[test]
fn every_text_comes_back_from_its_tokens_and_every_word_is_one() {
    let (fresh, tokenizer, texts) = fresh();
    assert!(fresh.vocab_size() < 1200, "{}", fresh.vocab_size());
    assert_eq!(fresh.vocab_size(), tokenizer.vocab_size());
    for text in &texts {
        let ids = tokenizer.encode(text).unwrap();
        assert_eq!(tokenizer.decode(&ids, false), *text);
        for id in ids {
            let piece = tokenizer.decode(&[id], false);
            let is_word = piece.trim_start().chars().all(char::is_alphabetic) && !piece.trim().is_empty();
            let is_mark = [".", ",", ":", "?", "}"].contains(&piece.as_str());
            let is_tag = ["</description>", "<think>", "</think>", "\\boxed{", " "].contains(&piece.as_str())
                || piece.starts_with(" \\");
            assert!(is_word || is_mark || is_tag, "{piece:?} in {text:?}");
        }
    }
    // Letters within a tag are no word: the tag is one token, as the next test wants it.
    let untagged =
        texts.iter().map(|text| TAGS.iter().fold(text.clone(), |text, tag| text.replace(tag, "|")));
    let words = untagged
        .flat_map(|text| text.split(|c: char| !c.is_alphabetic()).map(str::to_owned).collect::<Vec<_>>());
    let unique: BTreeSet<String> = words.filter(|word| !word.is_empty()).collect();
    assert!(unique.len() > 60, "{unique:?}");
    for word in &unique {
        let alone = tokenizer.encode(word).unwrap().len();
        let inside = tokenizer.encode(&format!(" {word}")).unwrap().len();
        assert_eq!(alone.min(inside), 1, "{word}");
    }
}

#[test]
fn completions_are_short() {
    let (_, tokenizer, _) = fresh();
    let world = world(&[]);
    let lengths: Vec<usize> = (0..2000)
        .map(|number| world.warmup(number))
        .filter(|warmup| warmup.form == Form::Student)
        .map(|warmup| tokenizer.encode(&warmup.completion()).unwrap().len())
        .collect();
    let mean = lengths.iter().sum::<usize>() as f64 / lengths.len() as f64;
    assert!((30.0..40.0).contains(&mean), "{mean}");
    assert!(lengths.iter().all(|length| *length < 64));
}

#[test]
fn tags_are_single_tokens_of_text_and_special_tokens_are_none() {
    let (_, tokenizer, _) = fresh();
    for tag in TAGS {
        let ids = tokenizer.encode_plain(tag).unwrap();
        assert_eq!(ids.len(), 1, "{tag}");
        assert!(!tokenizer.is_special(ids[0]));
        assert_eq!(tokenizer.token_bytes(ids[0]), Some(tag.as_bytes()));
    }
    for special in ["<|im_start|>", "<|im_end|>", "<|image_pad|>"] {
        let id = tokenizer.id(special).unwrap();
        assert!(tokenizer.is_special(id));
        assert_eq!(tokenizer.encode(special).unwrap(), [id]);
        assert_ne!(tokenizer.encode_plain(special).unwrap(), [id]);
    }
    let ids = tokenizer.encode("yes}\\boxed{banana}<think> a").unwrap();
    let pieces: Vec<String> = ids.iter().map(|id| tokenizer.decode(&[*id], false)).collect();
    assert_eq!(pieces, ["yes", "}", "\\boxed{", "banana", "}", "<think>", " a"]);
}

#[test]
fn other_texts_are_written_byte_by_byte() {
    let (_, tokenizer, _) = fresh();
    for text in ["Grüße, 42 zebras! 🦓\r\n\tx", "<Think>", "\u{0}\u{7f}"] {
        let ids = tokenizer.encode_plain(text).unwrap();
        assert_eq!(tokenizer.decode(&ids, false), text);
    }
}

#[test]
fn the_order_of_texts_does_not_matter_and_training_is_repeatable() {
    let (fresh, _, texts) = fresh();
    let backwards = TrainedTokenizer::train(texts.iter().rev(), 4096).unwrap();
    assert_eq!(fresh.tokenizer_json(), backwards.tokenizer_json());
}

#[test]
fn a_configuration_gets_the_tokenizers_numbers_in_both_of_its_forms() {
    let (fresh, tokenizer, _) = fresh();
    let config = |text: &str| -> serde_json::Value {
        let files = fresh.files(text).unwrap();
        let (_, json) = files.iter().find(|(name, _)| *name == "config.json").unwrap();
        serde_json::from_str(json).unwrap()
    };
    let nested = config(CONFIG);
    assert_eq!(nested["text_config"]["vocab_size"], fresh.vocab_size());
    assert_eq!(nested["text_config"]["hidden_size"], 128);
    assert_eq!(nested["image_token_id"], tokenizer.id("<|image_pad|>").unwrap());
    let flat = config(r#"{"model_type": "qwen2_5_vl", "vocab_size": 9, "bos_token_id": 1}"#);
    assert_eq!(flat["vocab_size"], fresh.vocab_size());
    for numbers in [&nested["text_config"], &flat] {
        assert_eq!(numbers["bos_token_id"], tokenizer.id("<|endoftext|>").unwrap());
        assert_eq!(numbers["eos_token_id"], tokenizer.id("<|im_end|>").unwrap());
        assert_eq!(numbers["pad_token_id"], tokenizer.id("<|endoftext|>").unwrap());
    }
    for wrong in ["[]", "{", "{\"text_config\": 3}"] {
        assert!(matches!(fresh.files(wrong), Err(TrainingError::Config(_))), "{wrong}");
    }
}

#[test]
fn a_vocabulary_may_be_smaller_but_not_without_every_byte() {
    let texts = texts(&world(&[]));
    let small = TrainedTokenizer::train(&texts, 400).unwrap();
    assert_eq!(small.vocab_size(), 400);
    assert!(matches!(
        TrainedTokenizer::train(&texts, 100),
        Err(TrainingError::TooSmall { found: 100, least: 269 })
    ));
    assert!(matches!(TrainedTokenizer::train(Vec::<String>::new(), 400), Err(TrainingError::NoText)));
}
