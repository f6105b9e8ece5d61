//! The few regular files of an embedded image as an uncompressed tar: always the same bytes.

const BLOCK: usize = 512;

/// Adds a file; owner root, time zero. Paths are at most 100 bytes.
pub(crate) fn add(tar: &mut Vec<u8>, path: &str, mode: u32, bytes: &[u8]) {
    tar.extend(header(path, mode, bytes.len()));
    tar.extend(bytes);
    tar.resize(tar.len().next_multiple_of(BLOCK), 0);
}

/// What follows `size` bytes of a file up to the next block.
pub(crate) fn padding(size: usize) -> usize {
    size.next_multiple_of(BLOCK) - size
}

/// Ends the archive.
pub(crate) fn end(tar: &mut Vec<u8>) {
    tar.resize(tar.len() + 2 * BLOCK, 0);
}

/// The block before a file's bytes.
pub(crate) fn header(path: &str, mode: u32, size: usize) -> [u8; BLOCK] {
    assert!(path.len() <= 100, "the embedded names are short");
    let mut block = [0u8; BLOCK];
    let mut put = |at: usize, text: &str| block[at..at + text.len()].copy_from_slice(text.as_bytes());
    put(0, path);
    put(100, &format!("{mode:07o}"));
    put(108, "0000000");
    put(116, "0000000");
    put(124, &format!("{size:011o}"));
    put(136, "00000000000");
    put(148, "        ");
    put(156, "0");
    put(257, "ustar\x0000");
    let sum: u32 = block.iter().map(|b| u32::from(*b)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_is_over_a_header_whose_sum_is_blank() {
        let mut tar = Vec::new();
        add(&mut tar, "hello", 0o755, b"x");
        end(&mut tar);
        assert_eq!(tar.len(), 4 * BLOCK);
        let told = std::str::from_utf8(&tar[148..154]).unwrap();
        let mut blank = tar[..BLOCK].to_vec();
        blank[148..156].fill(b' ');
        assert_eq!(u32::from_str_radix(told, 8).unwrap(), blank.iter().map(|b| u32::from(*b)).sum::<u32>());
    }
}
