//! Which capabilities the bouncer offers its devices and asks of its upstreams.

use irc::cap::{Cap, CapSet};

/// What every device is offered, whatever its upstream has, because the bouncer can do it truly by itself.
/// (`sasl` and `cap-notify` are the door's.)
pub const OFFERED_ALWAYS: CapSet = CapSet::of(&[
    Cap::Batch,
    Cap::CapNotify,
    Cap::EchoMessage,
    Cap::InviteNotify,
    Cap::MessageTags,
    Cap::ServerTime,
    Cap::Setname,
    Cap::StandardReplies,
    Cap::NoImplicitNames,
    Cap::DraftNoImplicitNames,
    Cap::DraftChathistory,
    Cap::DraftEventPlayback,
    Cap::DraftReadMarker,
    Cap::SojuBouncerNetworks,
    Cap::SojuBouncerNetworksNotify,
    Cap::SojuNoImplicitNames,
    Cap::SojuRead,
    Cap::SojuSearch,
]);

/// What a device is offered only while its upstream has it.
pub const PASSED_THROUGH: CapSet = CapSet::of(&[
    Cap::AccountNotify,
    Cap::AccountTag,
    Cap::AwayNotify,
    Cap::Chghost,
    Cap::ExtendedJoin,
    Cap::ExtendedMonitor,
    Cap::LabeledResponse,
    Cap::MultiPrefix,
    Cap::UserhostInNames,
    Cap::DraftMessageRedaction,
]);

/// What to ask of an upstream.
pub const WANTED_UPSTREAM: CapSet = CapSet::of(&[
    Cap::AccountNotify,
    Cap::AccountTag,
    Cap::AwayNotify,
    Cap::Batch,
    Cap::CapNotify,
    Cap::Chghost,
    Cap::EchoMessage,
    Cap::ExtendedJoin,
    Cap::ExtendedMonitor,
    Cap::InviteNotify,
    Cap::LabeledResponse,
    Cap::MessageTags,
    Cap::MultiPrefix,
    Cap::ServerTime,
    Cap::Setname,
    Cap::StandardReplies,
    Cap::UserhostInNames,
    Cap::DraftChathistory,
    Cap::DraftMessageRedaction,
]);

/// Whether any form of "no NAMES after JOIN" is in.
pub(crate) const fn no_implicit_names(caps: CapSet) -> bool {
    caps.has(Cap::NoImplicitNames)
        || caps.has(Cap::DraftNoImplicitNames)
        || caps.has(Cap::SojuNoImplicitNames)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_passed_through_is_asked_for() {
        assert!(WANTED_UPSTREAM.contains_all(PASSED_THROUGH));
        assert!((OFFERED_ALWAYS & PASSED_THROUGH).is_empty());
    }
}
