//! What the metric makes of its parts: weights, the sum, and the scale from 0 to 100.
//!
//! Source: `ssimulacra2.cc`, `Msssim::Score`.

/// The score of two identical pictures.
pub const IDENTICAL: f64 = 100.0;

/// Scales at the most.
pub const SCALES: usize = 6;
/// Parts of a channel at a scale: SSIM, edges gained, edges lost; first the three means, then the three L4 norms.
pub const PARTS: usize = 6;

/// A weight below this is taken for 0. Parts are well below 0.1, and the sum is about 2 at a score of 75: what is left
/// out moves the score by a few hundredths at the most, and saves all of X and B at the full size (after the "Faster" mode of Kanetaka et
/// al., "Fast Implementation of SSIMULACRA2 for Image Quality Assessment", IWAIT 2026).
const NEGLIGIBLE: f64 = 0.01;

/// By channel (X, Y, B), then scale (the finest first), then part.
#[rustfmt::skip]
const WEIGHTS: [[f64; PARTS]; 3 * SCALES] = [
    // X
    [0.0, 0.000_737_660_670_740_658_6, 0.0, 0.0, 0.000_779_348_168_286_730_9, 0.0],
    [0.0, 0.000_437_115_573_010_737_9, 0.0, 1.104_172_642_665_734_6, 0.000_662_848_341_292_71, 0.000_152_316_327_837_187_52],
    [0.0, 0.001_640_643_745_659_975_4, 0.0, 1.842_245_552_053_929_8, 11.441_172_603_757_666, 0.0],
    [0.000_798_910_943_601_516_3, 0.000_176_816_438_078_653, 0.0, 1.878_759_497_954_638_7, 10.949_069_906_051_42, 0.0],
    [0.000_728_934_699_150_807_2, 0.967_793_708_062_683_3, 0.0, 0.000_140_034_242_854_358_84, 0.998_176_697_785_496_7, 0.000_319_497_559_344_350_53],
    [0.000_455_099_211_379_206_3, 0.0, 0.0, 0.001_364_876_616_324_339_8, 0.0, 0.0],
    // Y
    [0.0, 0.0, 0.0, 7.466_890_328_078_848, 0.0, 17.445_833_984_131_262],
    [0.000_623_560_163_404_146_6, 0.0, 0.0, 6.683_678_146_179_332, 0.000_377_244_079_796_112_96, 1.027_889_937_768_264],
    [225.205_153_008_492_74, 0.0, 0.0, 19.213_238_186_143_016, 0.001_140_152_458_661_836_1, 0.001_237_755_635_509_985],
    [176.393_175_984_506_94, 0.0, 0.0, 24.433_009_998_704_76, 0.285_208_026_121_177_57, 0.000_448_543_692_383_340_8],
    [0.0, 0.0, 0.0, 34.779_063_444_837_72, 44.835_625_328_877_896, 0.0],
    [0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
    // B
    [0.0, 0.000_868_055_657_329_169_8, 0.0, 0.0, 0.0, 0.0],
    [0.0, 0.000_531_319_187_435_874_7, 0.0, 0.000_165_338_141_613_791_12, 0.0, 0.0],
    [0.0, 0.0, 0.0, 0.000_417_917_180_325_133_6, 0.001_729_082_823_472_283_3, 0.0],
    [0.002_082_700_584_663_643_7, 0.0, 0.0, 8.826_982_764_996_862, 23.192_433_439_989_26, 0.0],
    [95.108_049_881_108_6, 0.986_397_803_440_068_2, 0.983_438_279_246_535_3, 0.001_228_640_504_827_849_3, 171.266_725_589_730_7, 0.980_785_887_243_537_9],
    [0.0, 0.0, 0.0, 0.000_513_006_458_899_067_9, 0.0, 0.000_108_540_578_584_115_37],
];

/// The weights of a channel at a scale of a picture that has so many: the reference reads its table without a gap, so
/// that a small picture's later channels are weighed by rows of earlier ones.
fn of(channel: usize, scale: usize, scales: usize) -> &'static [f64; PARTS] {
    &WEIGHTS[channel * scales + scale]
}

/// Whether a channel at a scale moves the score at all.
#[must_use]
pub fn is_needed(channel: usize, scale: usize, scales: usize) -> bool {
    of(channel, scale, scales).iter().any(|weight| *weight >= NEGLIGIBLE)
}

/// The score of the parts of each scale's channels.
#[must_use]
pub fn score(scales: &[[[f64; PARTS]; 3]]) -> f64 {
    let mut sum = 0.0;
    for (scale, channels) in scales.iter().enumerate() {
        for (channel, parts) in channels.iter().enumerate() {
            // The table has mean and norm of SSIM, edges gained, edges lost in the order of `PARTS`.
            sum += of(channel, scale, scales.len()).iter().zip(parts).map(|(weight, part)| weight * part).sum::<f64>();
        }
    }
    let sum = sum * 0.956_238_261_683_484_4;
    let sum =
        2.326_765_642_916_932 * sum - 0.020_884_521_182_843_837 * sum.powi(2) + 6.248_496_625_763_138e-05 * sum.powi(3);
    if sum > 0.0 { IDENTICAL - 10.0 * sum.powf(0.627_633_646_783_138_7) } else { IDENTICAL }
}
