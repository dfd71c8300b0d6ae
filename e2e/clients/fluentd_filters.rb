# What a Fluentd configuration does with records in Ruby: the expression of its parser, and the values of <record>, as the documentation of
# record_transformer and record_modifier has them. Asked on stdin, answered on stdout, in JSON.

require "json"
require "socket"
require "time"

asked = JSON.parse($stdin.read)

# "..." is Ruby's own literal, with #{...} for embedded code; ${...} is code that sees the record; all else is text.
def value(text, record)
  case text
  when /\A"/ then eval(text)
  when /\A\$\{(.*)\}\z/m then eval(Regexp.last_match(1), binding)
  else text
  end
end

def remove(record, key)
  return record.delete(key) unless key.start_with?("$.")
  *path, last = key.delete_prefix("$.").split(".")
  found = path.empty? ? record : record.dig(*path)
  found.delete(last) if found
end

records = asked["records"].map do |record|
  asked["record"].each { |name, text| record[name] = value(text, record) }
  asked["remove_keys"].each { |key| remove(record, key) }
  record
end

lines = asked["lines"].map do |line|
  found = Regexp.new(asked["expression"]).match(line)
  found && found.named_captures.merge("time" => Time.strptime(found["time"], asked["time_format"]).to_r.then { |time| (time * 1_000_000_000).to_i })
end

puts JSON.generate("records" => records, "lines" => lines)
