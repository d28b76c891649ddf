"""The CA driver (CA 驱动): a program of the user that answers pages on 127.0.0.1. docs/protocol.md is its contract.

One process serves; each vendor library lives in a worker process of its own.

* ``main config instance serving``: the program, its TOML configuration, one per user, the loopback socket.
* ``guard peer rate``: who may talk: the other end's user, Host, Origin, form and rate of the request.
* ``service replies``: the calls and events, bounded bodies, a status for each reason.
* ``operations signing``: one operation at a time; the one construction that is signed, verified before it leaves.
* ``locks``: the merged list, handles per origin, the revision that events push.
* ``modules pipe worker``: start, ask, time out, kill and revive a worker; bounded typed frames.
* ``backends/``: ``soft`` (practice locks as files), ``pkcs11``, ``skf`` (GM/T 0016). A worker imports its kind only.
* ``window status pages ui/``: the driver's own window for PINs, and its status page.
* ``tls certificate_page``: the optional https on loopback.
* ``update update_page``: newer versions by signed manifest.
* ``compat/``: pages written for other middleware (docs/compat.md).
"""
