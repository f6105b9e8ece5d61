//! A whole program in a few hundred bytes: an ELF header, a dozen instructions, and what it says.
//!
//! Source: `elf(5)`; system call numbers of the two processors from the kernel's `unistd.h`.

const GREETING: &str = "
Hello from Gantry!

You read this because all of it worked:
 1. The client asked the engine for a container from the image \"hello-world\".
 2. The engine found the image inside its own program and unpacked it.
 3. A shim made namespaces, limits and a root file system, and started /hello in them.
 4. What /hello wrote came back through the shim and the engine to your terminal.

";

/// Where the one segment is loaded. Any free page-aligned address does.
const BASE: u64 = 0x40_0000;
const HEADERS: usize = 64 + 56;

const MACHINE_X86_64: u16 = 62;
const MACHINE_AARCH64: u16 = 183;

/// The program for `architecture` (Go's words), where we know its instructions.
pub(crate) fn program(architecture: &str) -> Option<Vec<u8>> {
    match architecture {
        "amd64" => Some(elf(MACHINE_X86_64, &x86_64(GREETING.len() as u32))),
        "arm64" => Some(elf(MACHINE_AARCH64, &aarch64(GREETING.len() as u32))),
        _ => None,
    }
}

/// `write(1, greeting, length); exit(0)`; the greeting follows the code.
fn x86_64(length: u32) -> Vec<u8> {
    let mut code = Vec::new();
    code.extend([0xb8, 1, 0, 0, 0]); // mov eax, 1 (write)
    code.extend([0xbf, 1, 0, 0, 0]); // mov edi, 1
    code.extend([0x48, 0x8d, 0x35]); // lea rsi, [rip + what follows the rest: 5 + 2 + 5 + 2 + 2 bytes]
    code.extend(16u32.to_le_bytes());
    code.push(0xba); // mov edx, length
    code.extend(length.to_le_bytes());
    code.extend([0x0f, 0x05]); // syscall
    code.extend([0xb8, 60, 0, 0, 0]); // mov eax, 60 (exit)
    code.extend([0x31, 0xff]); // xor edi, edi
    code.extend([0x0f, 0x05]); // syscall
    code
}

fn aarch64(length: u32) -> Vec<u8> {
    assert!(length < 0x1_0000, "movz takes 16 bits");
    const MOVZ_X: u32 = 0xd280_0000;
    const SVC: u32 = 0xd400_0001;
    let movz = |register: u32, value: u32| MOVZ_X | value << 5 | register;
    let words = [
        movz(0, 1),
        0x1000_0001 | 7 << 5, // adr x1, seven instructions on
        movz(2, length),
        movz(8, 64), // write
        SVC,
        movz(0, 0),
        movz(8, 93), // exit
        SVC,
    ];
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

fn elf(machine: u16, code: &[u8]) -> Vec<u8> {
    let size = (HEADERS + code.len() + GREETING.len()) as u64;
    let mut file = Vec::new();
    // File header: 64 bit, little endian, version 1, System V.
    file.extend([0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    file.extend(2u16.to_le_bytes()); // executable
    file.extend(machine.to_le_bytes());
    file.extend(1u32.to_le_bytes());
    file.extend((BASE + HEADERS as u64).to_le_bytes()); // entry
    file.extend(64u64.to_le_bytes()); // program headers begin here
    file.extend(0u64.to_le_bytes()); // no sections
    file.extend(0u32.to_le_bytes()); // flags
    for half in [64u16, 56, 1, 64, 0, 0] {
        file.extend(half.to_le_bytes()); // header sizes and counts: one program header
    }
    // Program header: the whole file, readable and executable.
    file.extend(1u32.to_le_bytes());
    file.extend(5u32.to_le_bytes());
    for word in [0, BASE, BASE, size, size, 0x1_0000] {
        file.extend(word.to_le_bytes());
    }
    file.extend(code);
    file.extend(GREETING.as_bytes());
    file
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn the_program_runs_on_this_machine_and_says_its_greeting() {
        let arch = gantry_names::Platform::host().architecture;
        let folder = std::env::temp_dir().join(format!("gantry-hello-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("hello");
        std::fs::write(&path, program(&arch).unwrap()).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        let output = std::process::Command::new(&path).output().unwrap();
        std::fs::remove_dir_all(&folder).unwrap();
        assert!(output.status.success(), "{output:?}");
        assert_eq!(String::from_utf8(output.stdout).unwrap(), GREETING);
    }

    #[test]
    fn each_known_processor_has_its_own_program() {
        assert_ne!(program("amd64"), program("arm64"));
        assert!(program("s390x").is_none());
    }

    #[test]
    fn the_arm_program_points_at_its_greeting() {
        let file = program("arm64").unwrap();
        let code = aarch64(GREETING.len() as u32);
        let at = HEADERS + code.len();
        assert_eq!(&file[at..], GREETING.as_bytes());
        // adr stands at word 1 and reaches 7 words on: to the end of the 8 words.
        assert_eq!(code.len(), (1 + 7) * 4);
    }
}
