//! A run while it goes: as a page, in a terminal.
