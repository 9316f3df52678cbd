-- Look up the fingerprints with which rows last succeeded; those of the epoch before are copied to this one.
-- ARGV[1] prefix of this epoch's hashes   ARGV[2] prefix of those of the epoch before
-- ARGV[3] when this epoch's hashes are forgotten, s since 1970   ARGV[4] 8 bytes of digest per row
-- Returns for each row its fingerprint, or false.
local found = {}
for at = 1, #ARGV[4], 8 do
  local row = string.sub(ARGV[4], at, at + 7)
  local first, second = string.byte(row, 1, 2)
  local bucket = string.format('%03x', first * 16 + math.floor(second / 16))
  local known = redis.call('HGET', ARGV[1] .. bucket, row)
  if not known then
    known = redis.call('HGET', ARGV[2] .. bucket, row)
    if known then
      redis.call('HSET', ARGV[1] .. bucket, row, known)
      if redis.call('TTL', ARGV[1] .. bucket) < 0 then redis.call('EXPIREAT', ARGV[1] .. bucket, ARGV[3]) end
    end
  end
  found[#found + 1] = known
end
return found
