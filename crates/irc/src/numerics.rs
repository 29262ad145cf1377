//! Numerics by name, as modern.ircdocs.horse, RFC 2812 and the IRCv3 documents name them.

use std::fmt;

/// A three-digit reply. The constants of this module can be matched on.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Numeric(pub u16);

impl Numeric {
    /// Reads exactly three digits.
    pub fn parse(command: &[u8]) -> Option<Self> {
        match command {
            [a @ b'0'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9'] => {
                Some(Self(u16::from(a - b'0') * 100 + u16::from(b - b'0') * 10 + u16::from(c - b'0')))
            }
            _ => None,
        }
    }

    /// The three digits.
    pub fn digits(self) -> [u8; 3] {
        let digit = |by: u16| b'0' + u8::try_from(self.0 / by % 10).unwrap_or(0);
        [digit(100), digit(10), digit(1)]
    }

    /// Its name (`RPL_WELCOME`), if it is a known one; the first where servers disagree.
    pub fn name(self) -> Option<&'static str> {
        ALL.iter().find(|(_, numeric)| *numeric == self).map(|(name, _)| *name)
    }

    /// The numeric of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        ALL.iter().find(|(known, _)| *known == name).map(|(_, numeric)| *numeric)
    }

    /// Whether it tells of an error (400 to 599, and the errors of login and MONITOR).
    pub fn is_error(self) -> bool {
        matches!(self.0, 400..=599)
            || matches!(self, ERR_MONLISTFULL | ERR_NICKLOCKED)
            || matches!(self, ERR_SASLFAIL | ERR_SASLTOOLONG | ERR_SASLABORTED | ERR_SASLALREADY)
    }
}

impl fmt::Display for Numeric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:03}", self.0)
    }
}

impl fmt::Debug for Numeric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:03} {}", self.0, self.name().unwrap_or("unknown"))
    }
}

macro_rules! numerics {
    ($($name:ident = $number:literal,)*) => {
        $(#[doc = concat!("`", stringify!($number), "`")] pub const $name: Numeric = Numeric($number);)*
        /// Every numeric this crate knows, by name.
        pub static ALL: &[(&str, Numeric)] = &[$((stringify!($name), $name),)*];
    };
}

numerics! {
    RPL_WELCOME = 1, RPL_YOURHOST = 2, RPL_CREATED = 3, RPL_MYINFO = 4, RPL_ISUPPORT = 5, RPL_REMOTEISUPPORT = 105,
    RPL_BOUNCE = 10, RPL_SNOMASK = 8, RPL_MAP = 15, RPL_MAPEND = 17, RPL_YOURID = 42,
    RPL_TRACELINK = 200, RPL_TRACECONNECTING = 201, RPL_TRACEHANDSHAKE = 202, RPL_TRACEUNKNOWN = 203,
    RPL_TRACEOPERATOR = 204, RPL_TRACEUSER = 205, RPL_TRACESERVER = 206, RPL_STATSLINKINFO = 211,
    RPL_STATSCOMMANDS = 212, RPL_STATSCLINE = 213, RPL_STATSKLINE = 216, RPL_ENDOFSTATS = 219,
    RPL_UMODEIS = 221, RPL_STATSUPTIME = 242, RPL_STATSOLINE = 243,
    RPL_LUSERCLIENT = 251, RPL_LUSEROP = 252, RPL_LUSERUNKNOWN = 253, RPL_LUSERCHANNELS = 254,
    RPL_LUSERME = 255, RPL_ADMINME = 256, RPL_ADMINLOC1 = 257, RPL_ADMINLOC2 = 258, RPL_ADMINEMAIL = 259,
    RPL_TRACELOG = 261, RPL_TRACEEND = 262, RPL_TRYAGAIN = 263, RPL_LOCALUSERS = 265, RPL_GLOBALUSERS = 266,
    RPL_WHOISCERTFP = 276, RPL_AWAY = 301, RPL_USERHOST = 302, RPL_ISON = 303, RPL_UNAWAY = 305,
    RPL_NOWAWAY = 306, RPL_WHOISREGNICK = 307, RPL_WHOISUSER = 311, RPL_WHOISSERVER = 312,
    RPL_WHOISOPERATOR = 313, RPL_WHOWASUSER = 314, RPL_ENDOFWHO = 315, RPL_WHOISIDLE = 317,
    RPL_ENDOFWHOIS = 318, RPL_WHOISCHANNELS = 319, RPL_WHOISSPECIAL = 320, RPL_LISTSTART = 321, RPL_LIST = 322,
    RPL_LISTEND = 323, RPL_CHANNELMODEIS = 324, RPL_CREATIONTIME = 329, RPL_WHOISACCOUNT = 330,
    RPL_NOTOPIC = 331, RPL_TOPIC = 332, RPL_TOPICWHOTIME = 333, RPL_WHOISBOT = 335, RPL_INVITELIST = 336,
    RPL_ENDOFINVITELIST = 337, RPL_WHOISACTUALLY = 338, RPL_INVITING = 341, RPL_SUMMONING = 342,
    RPL_INVEXLIST = 346, RPL_ENDOFINVEXLIST = 347, RPL_EXCEPTLIST = 348, RPL_ENDOFEXCEPTLIST = 349,
    RPL_VERSION = 351, RPL_WHOREPLY = 352, RPL_NAMREPLY = 353, RPL_WHOSPCRPL = 354, RPL_LINKS = 364,
    RPL_ENDOFLINKS = 365, RPL_ENDOFNAMES = 366, RPL_BANLIST = 367, RPL_ENDOFBANLIST = 368,
    RPL_ENDOFWHOWAS = 369, RPL_INFO = 371, RPL_MOTD = 372, RPL_ENDOFINFO = 374, RPL_MOTDSTART = 375,
    RPL_ENDOFMOTD = 376, RPL_WHOISHOST = 378, RPL_WHOISMODES = 379, RPL_YOUREOPER = 381, RPL_REHASHING = 382,
    RPL_TIME = 391, RPL_VISIBLEHOST = 396,
    ERR_UNKNOWNERROR = 400, ERR_NOSUCHNICK = 401, ERR_NOSUCHSERVER = 402, ERR_NOSUCHCHANNEL = 403,
    ERR_CANNOTSENDTOCHAN = 404, ERR_TOOMANYCHANNELS = 405, ERR_WASNOSUCHNICK = 406, ERR_TOOMANYTARGETS = 407,
    ERR_NOORIGIN = 409, ERR_INVALIDCAPCMD = 410, ERR_NORECIPIENT = 411, ERR_NOTEXTTOSEND = 412,
    ERR_NOTOPLEVEL = 413, ERR_WILDTOPLEVEL = 414, ERR_INPUTTOOLONG = 417, ERR_UNKNOWNCOMMAND = 421,
    ERR_NOMOTD = 422, ERR_NOADMININFO = 423, ERR_NONICKNAMEGIVEN = 431, ERR_ERRONEUSNICKNAME = 432,
    ERR_NICKNAMEINUSE = 433, ERR_NICKCOLLISION = 436, ERR_UNAVAILRESOURCE = 437, ERR_BANNICKCHANGE = 435,
    ERR_NICKTOOFAST = 438, ERR_USERNOTINCHANNEL = 441, ERR_NOTONCHANNEL = 442, ERR_USERONCHANNEL = 443,
    ERR_SUMMONDISABLED = 445, ERR_USERSDISABLED = 446, ERR_CANTCHANGENICK = 447, ERR_FORBIDDENCHANNEL = 448,
    ERR_NOTREGISTERED = 451, ERR_NEEDMOREPARAMS = 461, ERR_ALREADYREGISTERED = 462, ERR_NOPERMFORHOST = 463,
    ERR_PASSWDMISMATCH = 464, ERR_YOUREBANNEDCREEP = 465, ERR_YOUWILLBEBANNED = 466, ERR_KEYSET = 467,
    ERR_INVALIDUSERNAME = 468, ERR_LINKCHANNEL = 470, ERR_CHANNELISFULL = 471, ERR_UNKNOWNMODE = 472,
    ERR_INVITEONLYCHAN = 473, ERR_BANNEDFROMCHAN = 474, ERR_BADCHANNELKEY = 475, ERR_BADCHANMASK = 476,
    ERR_NEEDREGGEDNICK = 477, ERR_BANLISTFULL = 478, ERR_BADCHANNAME = 479, ERR_NOPRIVILEGES = 481,
    ERR_CHANOPRIVSNEEDED = 482, ERR_CANTKILLSERVER = 483, ERR_RESTRICTED = 484, ERR_NONONREG = 486,
    ERR_SECUREONLYCHAN = 489, ERR_NOOPERHOST = 491, ERR_CANNOTSENDTOUSER = 531, ERR_UMODEUNKNOWNFLAG = 501,
    ERR_USERSDONTMATCH = 502, ERR_HELPNOTFOUND = 524, ERR_CANNOTSENDRP = 573, ERR_INVALIDKEY = 525,
    RPL_STARTTLS = 670, RPL_WHOISSECURE = 671, ERR_STARTTLS = 691, ERR_INVALIDMODEPARAM = 696,
    RPL_HELPSTART = 704, RPL_HELPTXT = 705, RPL_ENDOFHELP = 706, ERR_NOPRIVS = 723,
    RPL_QUIETLIST = 728, RPL_ENDOFQUIETLIST = 729,
    RPL_MONONLINE = 730, RPL_MONOFFLINE = 731, RPL_MONLIST = 732, RPL_ENDOFMONLIST = 733, ERR_MONLISTFULL = 734,
    RPL_WHOISKEYVALUE = 760, RPL_KEYVALUE = 761, RPL_METADATAEND = 762, RPL_KEYNOTSET = 766,
    RPL_METADATASUBOK = 770, RPL_METADATAUNSUBOK = 771, RPL_METADATASUBS = 772, RPL_METADATASYNCLATER = 774,
    RPL_LOGGEDIN = 900, RPL_LOGGEDOUT = 901, ERR_NICKLOCKED = 902, RPL_SASLSUCCESS = 903, ERR_SASLFAIL = 904,
    ERR_SASLTOOLONG = 905, ERR_SASLABORTED = 906, ERR_SASLALREADY = 907, RPL_SASLMECHS = 908,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numerics_go_by_name_and_by_digits() {
        assert_eq!(Numeric::parse(b"001"), Some(RPL_WELCOME));
        assert_eq!(RPL_WELCOME.digits(), *b"001");
        assert_eq!(RPL_SASLSUCCESS.to_string(), "903");
        assert_eq!(Numeric(433).name(), Some("ERR_NICKNAMEINUSE"));
        assert_eq!(Numeric::from_name("RPL_ENDOFMOTD"), Some(RPL_ENDOFMOTD));
        for bad in [&b"01"[..], b"0001", b"PING", b"1a1"] {
            assert_eq!(Numeric::parse(bad), None);
        }
    }

    #[test]
    fn no_name_comes_twice() {
        for (index, (name, numeric)) in ALL.iter().enumerate() {
            assert!(ALL.iter().skip(index + 1).all(|(other, _)| other != name), "{name}");
            assert_eq!(Numeric::parse(&numeric.digits()), Some(*numeric));
        }
    }
}
