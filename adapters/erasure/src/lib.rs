//! The port `Eraser`: asking another service, or a function of this program, to erase the data of an identity.
