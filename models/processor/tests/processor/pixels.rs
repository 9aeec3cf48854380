//! Sizes, filter and patches are those of the processors that the models were trained with.

use crate::common;

use std::fs;

use proptest::prelude::*;
use vigos_processor::patches::{self, PatchError};
use vigos_processor::resize::{ResizeError, resize_bicubic, smart_resize};
use vigos_processor::{DecodeLimits, Grid, ImageConfig, RgbImage, decode};

#[test]
fn resizing_is_pillows_to_the_last_bit() {
    let bytes = fs::read(common::own("resize.bin")).unwrap();
    let mut rest = &bytes[..];
    let mut count = 0;
    while !rest.is_empty() {
        let number = |at: usize| u32::from_le_bytes(rest[at * 4..at * 4 + 4].try_into().unwrap());
        let (from, to) = ((number(0), number(1)), (number(2), number(3)));
        let (source, after) = rest[16..].split_at((from.0 * from.1 * 3) as usize);
        let (expected, after) = after.split_at((to.0 * to.1 * 3) as usize);
        let image = RgbImage::from_raw(from.0, from.1, source.to_vec()).unwrap();
        assert!(resize_bicubic(&image, to.0, to.1).as_raw() == expected, "{from:?} to {to:?} differs");
        rest = after;
        count += 1;
    }
    assert!(count > 50, "only {count} cases");
}

#[test]
fn the_same_size_is_the_same_image() {
    let image = decode::open(&common::shared("images/wide.png"), &DecodeLimits::default()).unwrap();
    assert_eq!(resize_bicubic(&image, image.width(), image.height()), image);
}

#[test]
fn an_image_comes_back_from_its_patches() {
    let config = ImageConfig::from_dir(&common::model()).unwrap();
    let image = decode::open(&common::shared("images/wide.png"), &DecodeLimits::default()).unwrap();
    let cut = patches::patches(&image, &config).unwrap();
    let (height, width) = config.resized(image.height(), image.width()).unwrap();
    assert_eq!(patches::unpatched(&cut, &config), Some(resize_bicubic(&image, width, height)));
    let short = vigos_processor::ImagePatches { values: cut.values[1..].to_vec(), ..cut };
    assert_eq!(patches::unpatched(&short, &config), None);
}

#[test]
fn sizes_round_half_to_even() {
    assert_eq!(smart_resize(70, 70, 28, 3136, 12_845_056), Ok((56, 56)));
    assert_eq!(smart_resize(98, 126, 28, 3136, 12_845_056), Ok((112, 112)));
    assert_eq!(smart_resize(20, 33, 28, 3136, 12_845_056), Ok((56, 84)));
    assert_eq!(smart_resize(4000, 3000, 28, 3136, 1_003_520), Ok((1148, 840)));
}

#[test]
fn long_thin_images_are_refused_with_their_ratio() {
    assert!(smart_resize(200, 1, 28, 3136, 12_845_056).is_ok());
    let error = smart_resize(1, 201, 28, 3136, 12_845_056).unwrap_err();
    assert_eq!(error, ResizeError::AspectRatio { width: 201, height: 1, ratio: 201.0 });
    assert!(error.to_string().contains("201.0") && error.to_string().contains("200"), "{error}");
    assert!(matches!(smart_resize(0, 5, 28, 1, 9), Err(ResizeError::Empty { .. })));
    assert!(matches!(smart_resize(5, 5, 28, 9, 1), Err(ResizeError::Bounds { .. })));
}

proptest! {
    #[test]
    fn sizes_are_divisible_and_within_bounds(
        short in 1u32..3000,
        ratio in 1.0f64..200.0,
        wide in any::<bool>(),
        factor in prop::sample::select(vec![28u32, 32]),
    ) {
        let long = ((f64::from(short) * ratio) as u32).max(short);
        let (height, width) = if wide { (short, long) } else { (long, short) };
        let (min, max) = (56 * 56, 1_003_520);
        let (h, w) = smart_resize(height, width, factor, min, max).unwrap();
        prop_assert_eq!((h % factor, w % factor), (0, 0));
        prop_assert!(h >= factor && w >= factor);
        let pixels = u64::from(h) * u64::from(w);
        prop_assert!(pixels >= min && pixels <= max, "{} x {} has {} pixels", h, w, pixels);
    }

    #[test]
    fn sizes_never_panic(
        height: u32, width: u32, factor: u32, min: u64, max: u64,
    ) {
        let _ = smart_resize(height, width, factor, min, max);
    }
}

/// Checks every value of every fixture image against the pixels that the reference processor saw.
fn check_patches(folder: &str, config: &ImageConfig) {
    let mut count = 0;
    for entry in fs::read_dir(common::own("pixels").join(folder)).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let file = if name == "photo" { "images/photo.jpg".into() } else { format!("images/{name}.png") };
        let seen = decode::open(&path, &DecodeLimits::default()).unwrap();
        let image = decode::open(&common::shared(&file), &DecodeLimits::default()).unwrap();
        let patches = patches::patches(&image, config).unwrap();
        let patch = config.patch_size as usize;
        let grid = Grid { t: 1, h: seen.height() as usize / patch, w: seen.width() as usize / patch };
        assert_eq!(patches.grid, grid, "{name}");
        assert_eq!(patches::grid(image.height(), image.width(), config).unwrap(), grid);
        let expected = reference_values(&seen, config);
        assert_eq!(patches.values.len(), expected.len(), "{name}");
        let worst = patches.values.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0f32, f32::max);
        assert!(worst <= 1e-6, "{name} is off by {worst}");
        count += 1;
    }
    assert!(count >= 4, "only {count} images");
}

/// Patch values from pixels by index arithmetic, the definition written out.
fn reference_values(seen: &RgbImage, config: &ImageConfig) -> Vec<f32> {
    let (patch, merge) = (config.patch_size, config.merge_size);
    let mut values = Vec::new();
    let side = patch * merge;
    for (block_y, block_x) in
        (0..seen.height() / side).flat_map(|y| (0..seen.width() / side).map(move |x| (y, x)))
    {
        for (in_y, in_x) in (0..merge).flat_map(|y| (0..merge).map(move |x| (y, x))) {
            for channel in 0..3 {
                for _frame in 0..config.temporal_patch_size {
                    for (y, x) in (0..patch).flat_map(|y| (0..patch).map(move |x| (y, x))) {
                        let (y, x) = (block_y * side + in_y * patch + y, block_x * side + in_x * patch + x);
                        let byte = f64::from(seen.get_pixel(x, y)[channel]);
                        let (mean, std) = (f64::from(config.mean[channel]), f64::from(config.std[channel]));
                        values.push(((byte / 255.0 - mean) / std) as f32);
                    }
                }
            }
        }
    }
    values
}

fn qwen2_5() -> ImageConfig {
    ImageConfig::from_file(&common::model().join("preprocessor_config.json")).unwrap()
}

fn qwen3() -> ImageConfig {
    ImageConfig::from_file(&common::shared("tiny-qwen3-vl/preprocessor_config.json")).unwrap()
}

#[test]
fn patches_of_qwen2_5_are_the_reference_processors() {
    check_patches("qwen2_5", &qwen2_5());
}

#[test]
fn patches_of_qwen3_are_the_reference_processors() {
    check_patches("qwen3", &qwen3());
}

#[test]
fn a_lower_pixel_limit_gives_a_smaller_grid() {
    let config = qwen2_5().with_max_pixels(56 * 56).unwrap();
    assert_eq!(patches::grid(1000, 1000, &config).unwrap(), Grid { t: 1, h: 4, w: 4 });
    assert_eq!(patches::grid(1000, 1000, &config).unwrap().tokens(2), 4);
    assert!(qwen2_5().with_max_pixels(0).is_err());
}

#[test]
fn without_resizing_only_whole_merged_patches_are_taken() {
    let config = ImageConfig { do_resize: false, ..qwen2_5() };
    assert_eq!(patches::patches(&RgbImage::new(56, 28), &config).unwrap().grid, Grid { t: 1, h: 2, w: 4 });
    let error = patches::patches(&RgbImage::new(57, 28), &config).unwrap_err();
    assert_eq!(error, PatchError::Unfit { width: 57, height: 28, factor: 28 });
}

#[test]
fn without_rescaling_and_normalising_values_are_bytes() {
    let config = ImageConfig { do_rescale: false, do_normalize: false, ..qwen2_5() };
    let image = RgbImage::from_pixel(56, 56, image_pixel());
    let patches = patches::patches(&image, &config).unwrap();
    assert_eq!(patches.values[0], 7.0);
    assert_eq!(patches.values[2 * 14 * 14], 8.0);
}

fn image_pixel() -> image::Rgb<u8> {
    image::Rgb([7, 8, 9])
}
