//! Something between the suite and a backend.
