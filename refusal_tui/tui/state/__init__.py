"""What the screens show, as plain values: no Textual here, so that it is tested without an app."""
