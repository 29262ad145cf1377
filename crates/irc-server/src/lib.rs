//! The IRC door: listeners, TLS, registration, capabilities, SASL, flood control and batched writes, generic over what stands behind it.
