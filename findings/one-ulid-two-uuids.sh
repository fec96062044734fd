#!/usr/bin/env bash
# About: NUlid 1.7.3 and Ulid 1.4.1 for .NET.
# Expected: A ULID is 128 bits; as a UUID it has one text, the same from every library, and UUIDs
#   order as the ULIDs do.
# Seen: NUlid turns the bytes around inside of the first three groups, Ulid does not: one ULID
#   gives two different UUIDs, and those of NUlid do not order by time.
# Meaning: Two services that keep one ULID in a uuid column write two keys for one operation, and
#   range queries over the keys of NUlid skip.
# Needs: the .NET SDK, version 10 or newer.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1 NUGET_PACKAGES="$work/packages"

cat >finding.csproj <<'XML'
<Project Sdk="Microsoft.NET.Sdk">
  <PropertyGroup>
    <OutputType>Exe</OutputType>
    <TargetFramework>net10.0</TargetFramework>
    <RollForward>Major</RollForward>
    <ImplicitUsings>enable</ImplicitUsings>
  </PropertyGroup>
  <ItemGroup>
    <PackageReference Include="NUlid" Version="[1.7.3]" />
    <PackageReference Include="Ulid" Version="[1.4.1]" />
  </ItemGroup>
</Project>
XML

cat >Program.cs <<'CS'
const string text = "01KDVDNA00J1GWQFJGF1BFFAC9";
const string later = "01KDVDNC00J1GWQFJGF1BFFAC9";
string ByNUlid(string ulid) => NUlid.Ulid.Parse(ulid).ToGuid().ToString();
string ByUlid(string ulid) => Ulid.Parse(ulid).ToGuid().ToString();
foreach (var ulid in new[] { text, later })
    Console.WriteLine($"{ulid}  NUlid {ByNUlid(ulid)}  Ulid {ByUlid(ulid)}");
var many = Enumerable.Range(0, 100)
    .Select(i => NUlid.Ulid.NewUlid(DateTimeOffset.UnixEpoch.AddYears(56).AddSeconds(i)).ToString())
    .ToList();
bool AllOrdered(Func<string, string> convert) =>
    many.Select(convert).SequenceEqual(many.Select(convert).Order(StringComparer.Ordinal));
Console.WriteLine($"100 ids, a second apart, in order: NUlid {AllOrdered(ByNUlid)}, Ulid {AllOrdered(ByUlid)}");
return ByNUlid(text) != ByUlid(text) && !AllOrdered(ByNUlid) && AllOrdered(ByUlid) ? 0 : 1;
CS
dotnet run
