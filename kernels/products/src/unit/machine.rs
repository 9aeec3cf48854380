//! The matrix unit itself: whether it is there, and its instructions.

#![allow(unsafe_code)] // Instructions that the compiler has no functions for.

use super::parts::{Source, Tile, WIDE, step};
use std::arch::asm;
use std::arch::x86_64::__cpuid_count;
use std::sync::OnceLock;

/// Whether the processor has AMX with bf16, and the system lets this process use it.
pub(crate) fn is_there() -> bool {
    static IS_THERE: OnceLock<bool> = OnceLock::new();
    *IS_THERE.get_or_init(|| {
        /// In EDX of the extended features: AMX-BF16 and AMX-TILE.
        const UNITS: u32 = 1 << 22 | 1 << 24;
        let has_vectors = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq");
        has_vectors && __cpuid_count(7, 0).edx & UNITS == UNITS && is_permitted()
    })
}

/// Asks the system for the unit's registers, which are large and so not every process's.
fn is_permitted() -> bool {
    const REQUEST: libc::c_long = 0x1023;
    const TILES: libc::c_long = 18;
    // SAFETY: the call takes two numbers and changes nothing but what this process may use.
    unsafe { libc::syscall(libc::SYS_arch_prctl, REQUEST, TILES) == 0 }
}

/// How the eight registers are laid out: sixteen rows of 64 bytes each.
#[repr(C, align(64))]
struct Layout {
    palette: u8,
    start: u8,
    reserved: [u8; 14],
    bytes: [u16; 16],
    rows: [u8; 16],
}

static LAYOUT: Layout = Layout {
    palette: 1,
    start: 0,
    reserved: [0; 14],
    bytes: [64, 64, 64, 64, 64, 64, 64, 64, 0, 0, 0, 0, 0, 0, 0, 0],
    rows: [16, 16, 16, 16, 16, 16, 16, 16, 0, 0, 0, 0, 0, 0, 0, 0],
};

/// Four products of tiles, of both of the left factor's with both of the right one's.
macro_rules! products {
    () => {
        "tdpbf16ps tmm0, tmm4, tmm6
         tdpbf16ps tmm1, tmm4, tmm7
         tdpbf16ps tmm2, tmm5, tmm6
         tdpbf16ps tmm3, tmm5, tmm7\n"
    };
}

/// Reads one part of the left factor's two tiles.
macro_rules! left {
    ($at:literal) => {
        concat!(
            "tileloadd tmm4, [{left} + {row}*1 + ",
            $at,
            "*2048]
             tileloadd tmm5, [{left} + {row}*1 + ",
            $at,
            "*2048 + 1024]\n"
        )
    };
}

/// Reads one part of the right factor's two tiles.
macro_rules! right {
    ($at:literal) => {
        concat!(
            "tileloadd tmm6, [{at} + {row}*1 + ",
            $at,
            "*2048]
             tileloadd tmm7, [{at} + {row}*1 + ",
            $at,
            "*2048 + 1024]\n"
        )
    };
}

/// All blocks of the left factor times the right one's tiles.
macro_rules! multiply {
    ($left:expr, $right:expr, $sums:expr, $blocks:expr, $steps:expr, $of_left:literal, $of_right:literal, $body:expr) => {
        asm!(
            "ldtilecfg [{layout}]",
            "2:",
            "tilezero tmm0",
            "tilezero tmm1",
            "tilezero tmm2",
            "tilezero tmm3",
            "mov {at}, {right}",
            "mov {step}, {steps}",
            "3:",
            $body,
            concat!("add {left}, ", $of_left),
            concat!("add {at}, ", $of_right),
            "dec {step}",
            "jnz 3b",
            "tilestored [{sums} + {line}*1], tmm0",
            "tilestored [{sums} + {line}*1 + 64], tmm1",
            "tilestored [{sums} + {line}*1 + 2048], tmm2",
            "tilestored [{sums} + {line}*1 + 2112], tmm3",
            "add {sums}, 4096",
            "dec {blocks}",
            "jnz 2b",
            "tilerelease",
            layout = in(reg) &raw const LAYOUT,
            left = inout(reg) $left => _,
            right = in(reg) $right,
            sums = inout(reg) $sums => _,
            blocks = inout(reg) $blocks => _,
            steps = in(reg) $steps,
            row = in(reg) 64usize,
            line = in(reg) 128usize,
            at = out(reg) _,
            step = out(reg) _,
            out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
            out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
            options(nostack),
        )
    };
}

/// Multiplies every block of the left factor, each of so many steps, by the right one's: `[WIDE of every block, WIDE]`.
///
/// Parts meet so that the smallest products come first; those of the smallest parts, below what f32 tells, not at all.
///
/// # Panics
/// If the tiles and sums are not as many as that needs, or there is no matrix unit.
pub(super) fn multiply<B: Source>(left: &[Tile], right: &[Tile], steps: usize, sums: &mut [f32]) {
    const BLOCK: usize = WIDE * WIDE;
    let blocks = sums.len() / BLOCK;
    assert!(
        left.len() == blocks * steps * step(B::LEFT) && right.len() == steps * step(B::PARTS),
        "every tile"
    );
    assert!(sums.len() == blocks * BLOCK && blocks > 0 && steps > 0 && is_there(), "sums, and a unit");
    let (left, right, sums) = (left.as_ptr(), right.as_ptr(), sums.as_mut_ptr());
    // SAFETY: the unit is there. Each block reads its steps of the left factor's tiles and all of the right one's and writes
    // four registers of sums; that there are so many has been checked above. The registers are the unit's own.
    unsafe {
        match (B::LEFT, B::PARTS) {
            (2, 1) => multiply!(
                left,
                right,
                sums,
                blocks,
                steps,
                "4096",
                "2048",
                concat!(right!("0"), left!("1"), products!(), left!("0"), products!())
            ),
            (3, 3) => multiply!(
                left,
                right,
                sums,
                blocks,
                steps,
                "6144",
                "6144",
                concat!(
                    left!("2"),
                    right!("0"),
                    products!(),
                    left!("1"),
                    products!(),
                    right!("1"),
                    products!(),
                    left!("0"),
                    products!(),
                    right!("2"),
                    products!(),
                    right!("0"),
                    products!()
                )
            ),
            _ => unreachable!("the parts of a source"),
        }
    }
}
