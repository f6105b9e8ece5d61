/// What becomes of the names by which a layer says "gone": `.wh.x` and `.wh..wh..opq` (OCI image spec, layer.md).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Whiteouts {
    /// They are names like any other: `docker cp`, a build context.
    #[default]
    Plain,
    /// Translate to the kernel's overlayfs: a 0/0 character device, and the `trusted.overlay.opaque` attribute.
    Overlay,
    /// The same with `user.overlay.` attributes, for overlays mounted with `userxattr`.
    OverlayUser,
    /// Do it: delete what they name from the tree.
    Delete,
}
