-- Make one write of the fleet on a full server, so that specs that are stored already get their outcome.
-- KEYS[1] the key that the command writes
-- ARGV[1] the command   ARGV[2..] what follows the key
-- Returns the command's reply.
return redis.call(ARGV[1], KEYS[1], unpack(ARGV, 2))
