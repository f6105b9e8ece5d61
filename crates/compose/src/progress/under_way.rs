//! What has begun and is not done, for whoever has to wait for it.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;

use super::{Event, Progress, Stage};

/// The things that are under way, by what progress calls them.
#[derive(Debug, Clone, Default)]
pub struct UnderWay(Rc<RefCell<BTreeSet<String>>>);

impl UnderWay {
    /// Their names.
    pub fn names(&self) -> Vec<String> {
        self.0.borrow().iter().cloned().collect()
    }
}

/// Passes the news on, and notes what is under way.
pub struct Noted {
    to: Box<dyn Progress>,
    under_way: UnderWay,
}

impl Noted {
    /// Passes on `to`, notes in `under_way`.
    pub fn new(to: Box<dyn Progress>, under_way: &UnderWay) -> Noted {
        Noted { to, under_way: under_way.clone() }
    }
}

impl Progress for Noted {
    fn tell(&self, event: Event) {
        if event.part_of.is_none() {
            let mut names = self.under_way.0.borrow_mut();
            match event.stage {
                Stage::Working => names.insert(event.what.clone()),
                Stage::Done | Stage::Warning | Stage::Error => names.remove(&event.what),
            };
        }
        self.to.tell(event);
    }

    fn warn(&self, text: &str) {
        self.to.warn(text);
    }

    fn finish(&self) {
        self.to.finish();
    }

    fn hook(&self, container: &str, text: &str) {
        self.to.hook(container, text);
    }
}
