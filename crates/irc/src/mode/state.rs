//! The modes of a channel as they stand after every change.

use bytes::Bytes;
use smallvec::SmallVec;

use super::{ModeChange, ModeKind, ModeSpec};

/// The flags and parameters of a channel. Lists (type A) and ranks are kept elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ChannelModes {
    flags: u128,
    values: SmallVec<[(u8, Bytes); 2]>,
}

impl ChannelModes {
    /// Reads RPL_CHANNELMODEIS or RPL_UMODEIS: everything that is set.
    pub fn read(spec: &ModeSpec, modes: &[u8], args: &[&[u8]]) -> Self {
        let mut state = Self::default();
        for change in spec.parse(modes, args) {
            state.apply(spec, change);
        }
        state
    }

    /// Takes in one change. Says whether anything is different now.
    pub fn apply(&mut self, spec: &ModeSpec, change: ModeChange<'_>) -> bool {
        let bit = 1u128.checked_shl(u32::from(change.mode)).unwrap_or(0);
        match (spec.kind(change.mode), change.adding) {
            (ModeKind::List | ModeKind::Prefix, _) => false,
            (ModeKind::Flag, adding) => {
                let before = self.flags;
                self.flags = if adding { self.flags | bit } else { self.flags & !bit };
                before != self.flags
            }
            (ModeKind::Always | ModeKind::WhenSet, false) => {
                let before = self.values.len();
                self.values.retain(|(mode, _)| *mode != change.mode);
                before != self.values.len()
            }
            (ModeKind::Always | ModeKind::WhenSet, true) => self.set_value(change.mode, change.arg),
        }
    }

    fn set_value(&mut self, mode: u8, arg: Option<&[u8]>) -> bool {
        let arg = arg.unwrap_or_default();
        match self.values.iter_mut().find(|(known, _)| *known == mode) {
            Some((_, value)) if *value == arg => false,
            Some((_, value)) => {
                *value = Bytes::copy_from_slice(arg);
                true
            }
            None => {
                let at = self.values.partition_point(|(known, _)| *known < mode);
                self.values.insert(at, (mode, Bytes::copy_from_slice(arg)));
                true
            }
        }
    }

    /// Whether a mode is set.
    pub fn has(&self, mode: u8) -> bool {
        let bit = 1u128.checked_shl(u32::from(mode)).unwrap_or(0);
        self.flags & bit != 0 || self.value(mode).is_some()
    }

    /// The parameter of a mode that is set.
    pub fn value(&self, mode: u8) -> Option<&[u8]> {
        self.values.iter().find(|(known, _)| *known == mode).map(|(_, value)| &**value)
    }

    /// `+klnt` and the parameters that belong to it, letters in order; `+` alone if nothing is set.
    pub fn to_parts(&self) -> (String, Vec<&[u8]>) {
        let mut modes = String::from("+");
        let mut args = Vec::new();
        for mode in 0u8..128 {
            if self.flags & (1 << mode) != 0 {
                modes.push(char::from(mode));
            } else if let Some(value) = self.value(mode) {
                modes.push(char::from(mode));
                // A parameter the network hides is still one.
                args.push(if value.is_empty() { b"*" } else { value });
            }
        }
        (modes, args)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_follow_the_changes() {
        let spec = ModeSpec::default();
        let mut modes = ChannelModes::read(&spec, b"+ntlk", &[b"10", b"key"]);
        assert_eq!(modes.to_parts(), ("+klnt".to_owned(), vec![&b"key"[..], b"10"]));
        assert!(modes.has(b'n') && modes.value(b'l') == Some(b"10"));
        let changes = spec.parse(b"-k+l-n+ob", &[b"*", b"20", b"dan", b"*!*@*"]);
        let changed: Vec<_> = changes.into_iter().map(|change| modes.apply(&spec, change)).collect();
        assert_eq!(changed, [true, true, true, false, false]);
        assert_eq!(modes.to_parts(), ("+lt".to_owned(), vec![&b"20"[..]]));
        assert_eq!(ChannelModes::default().to_parts(), ("+".to_owned(), vec![]));
    }
}
