-- Remember the fingerprints of rows that succeeded, and forget rows that ended otherwise. May be repeated.
-- ARGV[1] prefix of this epoch's hashes   ARGV[2] prefix of those of the epoch before
-- ARGV[3] when this epoch's hashes are forgotten, s since 1970
-- ARGV[4] per row that succeeded 8 bytes of digest, then 8 of fingerprint   ARGV[5] 8 bytes of digest per row to forget
-- Returns how many rows were remembered or forgotten.
local function bucket_of(row)
  local first, second = string.byte(row, 1, 2)
  return string.format('%03x', first * 16 + math.floor(second / 16))
end
for at = 1, #ARGV[4], 16 do
  local row = string.sub(ARGV[4], at, at + 7)
  local key = ARGV[1] .. bucket_of(row)
  redis.call('HSET', key, row, string.sub(ARGV[4], at + 8, at + 15))
  if redis.call('TTL', key) < 0 then redis.call('EXPIREAT', key, ARGV[3]) end
end
for at = 1, #ARGV[5], 8 do
  local row = string.sub(ARGV[5], at, at + 7)
  redis.call('HDEL', ARGV[1] .. bucket_of(row), row)
  redis.call('HDEL', ARGV[2] .. bucket_of(row), row)
end
return #ARGV[4] / 16 + #ARGV[5] / 8
