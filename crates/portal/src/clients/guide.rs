//! What a guide is made of.

/// A client and its steps.
#[derive(Clone, Debug)]
pub struct Guide {
    /// In URLs and `data-client`.
    pub id: &'static str,
    /// What it calls itself.
    pub name: &'static str,
    /// Where it runs, and what it can do with the bouncer.
    pub about: &'static str,
    /// The steps, in order.
    pub steps: Vec<Step>,
}

/// One step: a sentence, and what to type or fill in.
#[derive(Clone, Debug)]
pub struct Step {
    /// What to do.
    pub text: String,
    /// With what.
    pub what: What,
}

/// What a step holds beside its sentence.
#[derive(Clone, Debug)]
pub enum What {
    /// Nothing more.
    Nothing,
    /// Text to type or to put into a file. `tag` is the block's `data-client`.
    Block {
        /// Names the block for scripts and tests.
        tag: &'static str,
        /// The text in pieces; the filled-in ones are marked.
        pieces: Vec<Piece>,
    },
    /// Fields of a dialog, label and value.
    Fields(Vec<(&'static str, String)>),
}

/// A piece of a block's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// The text.
    pub text: String,
    /// Whether it was filled in for this user.
    pub filled: bool,
}
