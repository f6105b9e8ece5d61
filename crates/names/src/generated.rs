//! Names for containers that were given none: an adjective and a scientist, as Docker does it.

use std::sync::atomic::{AtomicU64, Ordering};

const ADJECTIVES: &str = "admiring adoring affectionate agitated amazing angry awesome beautiful blissful bold boring \
    brave busy charming clever compassionate competent condescending confident cool cranky crazy dazzling determined \
    distracted dreamy eager ecstatic elastic elated elegant eloquent epic exciting fervent festive flamboyant focused \
    friendly frosty funny gallant gifted goofy gracious great happy hardcore heuristic hopeful hungry infallible \
    inspiring intelligent interesting jolly jovial keen kind laughing loving lucid magical modest musing mystifying \
    naughty nervous nice nifty nostalgic objective optimistic peaceful pedantic pensive practical priceless quirky \
    quizzical recursing relaxed reverent romantic sad serene sharp silly sleepy stoic strange stupefied suspicious \
    sweet tender thirsty trusting unruffled upbeat vibrant vigilant vigorous wizardly wonderful xenodochial youthful \
    zealous zen";

const SCIENTISTS: &str = "agnesi albattani allen almeida antonelli archimedes ardinghelli aryabhata austin babbage \
    banach banzai bardeen bartik bassi beaver bell benz bhabha bhaskara black blackburn blackwell bohr booth borg bose \
    bouman boyd brahmagupta brattain brown buck burnell cannon carson cartwright carver cerf chandrasekhar chaplygin \
    chatelet chatterjee chaum chebyshev clarke cohen colden cori cray curie curran darwin davinci dewdney dhawan \
    diffie dijkstra dirac driscoll dubinsky easley edison einstein elbakyan elgamal elion ellis engelbart euclid euler \
    faraday feistel fermat fermi feynman franklin gagarin galileo galois ganguly gates gauss germain goldberg \
    goldstine goldwasser golick goodall gould greider grothendieck haibt hamilton haslett hawking heisenberg hellman \
    hermann herschel hertz heyrovsky hodgkin hofstadter hoover hopper hugle hypatia ishizaka jackson jang jemison \
    jennings jepsen johnson joliot jones kalam kapitsa kare keldysh keller kepler khayyam khorana kilby kirch knuth \
    kowalevski lalande lamarr lamport leakey leavitt lederberg lehmann lewin lichterman liskov lovelace lumiere \
    mahavira margulis matsumoto maxwell mayer mccarthy mcclintock mclaren mclean mcnulty meitner mendel mendeleev \
    meninsky merkle mestorf mirzakhani montalcini moore morse moser murdock napier nash neumann newton nightingale \
    nobel noether northcutt noyce panini pare pascal pasteur payne perlman pike poincare poitras proskuriakova ptolemy \
    raman ramanujan rhodes ride ritchie robinson roentgen rosalind rubin saha sammet sanderson satoshi shamir shannon \
    shaw shirley shockley shtern sinoussi snyder solomon spence stonebraker sutherland swanson swartz swirles taussig \
    tesla tharp thompson torvalds tu turing varahamihira vaughan villani visvesvaraya volhard wescoff wilbur wiles \
    williams williamson wilson wing wozniak wright wu yalow yonath zhukovsky";

/// A fresh name such as `gallant_turing`. `attempt` counts the tries for one container: from the second on a
/// digit is added, so that a host with many containers still finds a free name quickly.
pub fn generated_name(attempt: u32) -> String {
    loop {
        let (adjective, scientist) = (pick(ADJECTIVES), pick(SCIENTISTS));
        if (adjective, scientist) == ("boring", "wozniak") {
            continue; // Steve Wozniak is not boring.
        }
        return match attempt {
            0 => format!("{adjective}_{scientist}"),
            _ => format!("{adjective}_{scientist}{}", random() % 10),
        };
    }
}

fn pick(words: &'static str) -> &'static str {
    let count = words.split_ascii_whitespace().count();
    let nth = (random() % count as u64) as usize;
    words.split_ascii_whitespace().nth(nth).expect("nth is below count")
}

fn random() -> u64 {
    static FALLBACK: AtomicU64 = AtomicU64::new(1);
    getrandom::u64().unwrap_or_else(|_| FALLBACK.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ContainerName;

    #[test]
    fn generated_names_are_names() {
        for attempt in 0..200 {
            let name = generated_name(attempt % 3);
            assert!(ContainerName::parse(&name).is_ok(), "{name}");
            assert_eq!(name.ends_with(|c: char| c.is_ascii_digit()), attempt % 3 != 0, "{name}");
        }
    }
}
