//! The libxdp way: UMEMs and sockets whose ring structs are the program's, and the
//! default program attached over netlink. The objects are the same as elsewhere.

mod btf;
mod count;
pub(super) mod program;
mod socket;
mod umem;

pub use program::setup_by_index;
pub use socket::{Membership, SocketRequest, create_socket};
pub use umem::{Legacy, UmemRequest, create_umem};
