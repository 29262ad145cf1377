//! The wire format of IRC: lines, tags, numerics, casemapping, masks, modes, ISUPPORT, capabilities and SASL payloads.
