//! SplitMix64: derives pseudorandom numbers from other numbers.

/// The finaliser of SplitMix64: every bit of the input moves about half of the bits of the output.
pub fn mixed(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// Derives a pseudorandom number from three numbers, such as the seed of one run of one node.
pub(crate) fn mix(seed: u64, id: u64, run: u64) -> u64 {
    mixed(
        seed.wrapping_add(id << 32)
            .wrapping_add(run)
            .wrapping_mul(0x9E37_79B9_7F4A_7C15),
    )
}
