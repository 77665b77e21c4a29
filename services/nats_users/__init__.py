"""Who may do what on the nats-server: users become accounts, which the server enforces.

users         who there is, from a file that people write
permissions   what each kind of user may
accounts      the server's settings that say so
keys          nkeys: a secret seed in a file, a public key for everybody
"""
