//! From the core's set of capabilities to what the door offers.

use bouncer_core::CapSet;

/// The door's set of what the core names: the same.
pub fn outward(caps: CapSet) -> irc::cap::CapSet {
    caps
}

/// The core's set of what the door or the client names: the same.
pub fn inward(caps: irc::cap::CapSet) -> CapSet {
    caps
}

/// What the door offers for what the core names.
pub fn offer(caps: CapSet) -> irc::cap::Offer {
    caps.iter().fold(irc::cap::Offer::new(), irc::cap::Offer::with)
}
